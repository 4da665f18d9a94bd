"""What `cai setup` does to the machine, as steps that are checked, planned and applied."""
