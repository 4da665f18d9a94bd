"""The `machine` level: tests that own a whole computer, booted in QEMU."""
