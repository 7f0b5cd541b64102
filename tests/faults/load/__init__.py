"""A load with an upheaval: operators click, workers import, and both are killed all the while.

`site` is the installation, `handover` what lies on its mount, `operators` click, `upheaval` kills, `watch` looks at memory and
lock waits meanwhile, and `account` asks in the end whether anything was lost.
"""
