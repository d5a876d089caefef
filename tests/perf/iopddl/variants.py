"""Makes other contest instances out of one: tighter memory, several copies after and beside each other, finer strategies.

  variants.py K.json.gz OUT.json.gz [--memory 0.8] [--copies 2] [--split 2] [--seed 1]

--memory scales the usage limit. --copies puts N copies one after the other in time and joins neighbours by equalities and
costs between random nodes of as many strategies, so that nothing falls apart. --split gives every node each strategy N times,
with other costs and usages (a finer mesh); forbidden pairs stay forbidden.
"""
import argparse
import gzip
import json
import random

FORBIDDEN = 10**18


def split(problem, times, rng):
    nodes, edges = problem["nodes"], problem["edges"]
    sizes = [len(costs) for costs in nodes["costs"]]
    vary = lambda value: value if value >= FORBIDDEN else int(value * rng.uniform(0.8, 1.3))
    nodes["costs"] = [[vary(c) for c in costs for _ in range(times)] for costs in nodes["costs"]]
    nodes["usages"] = [[int(u * rng.uniform(0.6, 1.1)) for u in usages for _ in range(times)] for usages in nodes["usages"]]
    for index, (a, b) in enumerate(edges["nodes"]):
        costs, width = edges["costs"][index], sizes[b]
        table = []
        for i in range(sizes[a] * times):
            for j in range(width * times):
                cost = costs[i // times * width + j // times]
                # An equality stays one: only like strategies of both ends go together.
                if cost == 0 and FORBIDDEN in costs and i % times != j % times:
                    cost = FORBIDDEN
                table.append(vary(cost))
        edges["costs"][index] = table


def copies(problem, times, rng):
    nodes, edges = problem["nodes"], problem["edges"]
    count = len(nodes["costs"])
    span = max((hi for interval in nodes["intervals"] if interval for hi in interval[1:]), default=0)
    by_size = {}
    for node in range(count):
        by_size.setdefault(len(nodes["costs"][node]), []).append(node)
    first_nodes = {key: list(nodes[key]) for key in ("intervals", "costs", "usages")}
    first_edges = {key: list(edges[key]) for key in ("nodes", "costs")}
    for copy in range(1, times):
        nodes["intervals"] += [[t + copy * span for t in interval] for interval in first_nodes["intervals"]]
        nodes["costs"] += first_nodes["costs"]
        nodes["usages"] += first_nodes["usages"]
        edges["nodes"] += [[a + copy * count, b + copy * count] for a, b in first_edges["nodes"]]
        edges["costs"] += first_edges["costs"]
        for _ in range(count // 200):
            size = rng.choice([s for s in by_size if s > 1])
            a, b = rng.choice(by_size[size]), rng.choice(by_size[size])
            edges["nodes"].append([a + (copy - 1) * count, b + copy * count])
            scale = max(max(first_nodes["costs"][b]), 1000)
            edges["costs"].append([0 if i == j else rng.randrange(scale) for i in range(size) for j in range(size)])


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source")
    parser.add_argument("target")
    parser.add_argument("--memory", type=float, default=1.0)
    parser.add_argument("--copies", type=int, default=1)
    parser.add_argument("--split", type=int, default=1)
    parser.add_argument("--seed", type=int, default=1)
    flags = parser.parse_args()
    rng = random.Random(flags.seed)
    with gzip.open(flags.source, "rt") as file:
        document = json.load(file)
    problem = document["problem"]
    if flags.split > 1:
        split(problem, flags.split, rng)
    if flags.copies > 1:
        copies(problem, flags.copies, rng)
    if "usage_limit" in problem:
        problem["usage_limit"] = int(problem["usage_limit"] * flags.memory)
    with gzip.open(flags.target, "wt", compresslevel=1) as file:
        json.dump(document, file)


if __name__ == "__main__":
    main()
