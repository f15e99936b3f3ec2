"""No module imports itself by way of others, inside functions neither: what belongs together stands together."""

from __future__ import annotations

import grimp


def test_no_import_circle() -> None:
    graph = grimp.build_graph(
        "cockpit", "screens", "engine", "themes", exclude_type_checking_imports=True, cache_dir=None
    )
    imports = {module: set(graph.find_modules_directly_imported_by(module)) for module in graph.modules}
    free = dict(imports)
    while leaves := [module for module, imported in free.items() if not imported & free.keys()]:
        for module in leaves:
            del free[module]
    assert not free, "these import each other in a circle, or stand before one"
