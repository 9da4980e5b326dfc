"""The bit-exact emulator: the normative reference, the fast engine, the float simulation."""
