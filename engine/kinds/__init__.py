"""What kinds of order there are: one file each. A kind is a plan and steps; the executor knows none of them."""
