"""Fault injection: each step of each program, once with each fault.

`fault_proxy` is between a program and its database and numbers the statements; `shim.c` numbers the files that a program
opens and reads on the mount. A recording run finds the points; `trial` runs one point with one fault, lets other
programs finish, and compares with a run without faults. The programs themselves contain no code for this.
"""
