"""View-models: what screens and the command line show of apps, orders and hosts, apart from how it is drawn.

Plain frozen data, JSON-able through `values.to_json`, built by `engine.api` from the store; screens never see a row or a table.
Nothing here is coloured, padded or translated: a `Message` is translated by whoever shows it.
"""
