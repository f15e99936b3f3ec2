"""The cloud behind two ports: packages in OSS and weights in SLB, by the vendor's SDKs. Importing this costs next to nothing:
the SDKs are imported when they are first used. Never decides, retries a change or keeps state of its own."""
