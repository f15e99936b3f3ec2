"""The words of the field as frozen data: who owns what, orders and their states, messages and problems. No I/O."""
