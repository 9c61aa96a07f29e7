"""The process managers, on a real log, with everything outside played."""
