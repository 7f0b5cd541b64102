"""A load test with chaos: operators use the panel, workers import, both get killed.

`deployment` is the installation, `bundles` the content of its mount. `operators` send requests, `chaos` kills
processes, `monitor` measures memory and lock waits, and `invariants` checks in the end that nothing was lost.
"""
