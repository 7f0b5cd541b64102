"""Fault injection: each step of each program, once with each fault.

`fault_proxy` is between a program and its database and numbers the statements; `shim.c` numbers the files that a
program opens and reads on the mount. A recording run finds the points. `trial` injects one fault at one point, lets
other programs finish, and compares the result with a run without faults. The programs contain no code for this.
"""
