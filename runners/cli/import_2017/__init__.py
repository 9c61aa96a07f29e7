"""`commissaire import-2017`: what a service of 2017 has, carried over into this one."""
