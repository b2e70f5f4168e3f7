"""Lists the published networks."""

from mobilenas import models
from mobilenas.cli.arguments import Json
from mobilenas.cli.output import print_json, print_table


def run(json: Json = False) -> None:
    """Prints name, parameters, MACs and published accuracy of every network."""
    rows = []
    for name in models.names():
        graph, published = models.get(name).graph(), models.published(name)
        rows.append({"name": name, "params": graph.params, "macs": graph.macs, "top1": published.top1})
    if json:
        print_json(rows)
    else:
        print_table(list(rows[0]), [list(row.values()) for row in rows])
