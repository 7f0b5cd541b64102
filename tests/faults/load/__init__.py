"""A load test with chaos: operators use the panel, workers import, both get killed.

`site` is the installation, `handover` what lies on its mount, `operators` click, `upheaval` kills, `watch` looks at memory and
lock waits meanwhile, and `account` asks in the end whether anything was lost.
"""
