"""A campaign of faults: each point that a program passes, once with each thing that can go wrong there.

`door` stands between a program and its database and numbers the statements; `shim.c` does the same for what a program
opens and reads on the mount. A recording run finds the points; `trial` runs one point with one fault, lets others
finish, and compares with an undisturbed run. Nothing of it is in the programs themselves.
"""
