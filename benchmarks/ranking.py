"""What scoring costs: 100,000 prompts of 15 x 15 on one core, beside networkx on some of the same prompts.

    python benchmarks/ranking.py [--quick]

Prompts are simulated, and scored by `score_all` as one stack (`seconds_per_100k`) and as a stream of separate
matrices. Seconds are CPU seconds of this
process, which has one thread, since wall-clock time depends on what else the machine does; of three rounds
the least counts. networkx gets each prompt as
a graph and is asked for the same accuracy; its answers and ours are compared. It has HITS and PageRank; the
other rankers are compared with the cheaper of
these two. Memory is the most that is allocated at once (tracemalloc) while a stream of prompts is scored that
are made as they are read, and while a stack
of as many is scored whole, which keeps all scores.

The last line is one JSON object."""
import os

# read when numpy is imported
os.environ |= dict(OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1", MKL_NUM_THREADS="1")

import argparse
import json
import time
import tracemalloc
from functools import partial

import networkx as nx
import numpy as np
import pandas as pd

from codedpo_nb.ranking import RANKERS, score_all, toy_matrix

PROMPTS, SIZE = 100_000, 15
NETWORKX = {"HITS": "hits", "PageRank": "pagerank"}


def spent(work):
    "Result and CPU seconds of a call."
    began = time.process_time()
    return work(), time.process_time() - began

def drain(rank, matrices):
    "The last scores; the others are dropped as they come, so that memory does not grow."
    last = None
    for scores in score_all(rank, matrices): last = scores
    return last

def by_networkx(name, matrices):
    "Code scores of each prompt, and CPU seconds for building the graphs and for ranking."
    building = ranking = 0.0
    found = []
    for m in matrices:
        graph, seconds = spent(partial(as_graph, m, nx.DiGraph if name == "HITS" else nx.Graph))
        building += seconds
        rank = partial(nx.hits, tol=0) if name == "HITS" else partial(nx.pagerank, tol=1e-13, max_iter=1000)
        scores, seconds = spent(partial(rank, graph))
        if name == "HITS": scores = scores[0]
        ranking += seconds
        found.append([scores[i] for i in range(len(m))])
    return np.array(found), building, ranking

def as_graph(m, kind):
    "Solutions are the nodes from 0, tests those after them."
    graph = kind()
    graph.add_nodes_from(range(sum(m.shape)))
    graph.add_edges_from((int(i), len(m) + int(j)) for i, j in np.argwhere(m))
    return graph

def layouts(stack, rounds=20):
    """Microseconds a prompt for one product of scores and matrix, by how it is written; and for a product of
    two matrices."""
    codes, last = np.ones(stack.shape[:2]), np.ascontiguousarray(np.moveaxis(stack, 0, -1))
    forms = {"einsum, prompts first": lambda: np.einsum("...i,...ij->...j", codes, stack),
             "vecmat, prompts first": lambda: np.vecmat(codes, stack),
             "matmul, prompts first": lambda: codes[:, None] @ stack,
             "einsum, prompts last": lambda: np.einsum("ip,ijp->jp", codes.T.copy(), last),
             "moving the prompts last": lambda: np.ascontiguousarray(np.moveaxis(stack, 0, -1)),
             "M times its transpose": lambda: stack @ np.swapaxes(stack, -1, -2),
             "solving M x = 1": lambda: np.linalg.solve(stack + 99 * np.eye(SIZE), codes[..., None])}
    return {name: 1e6 * min(spent(form)[1] for _ in range(rounds)) / len(stack) for name,
            form in forms.items()}

def peak_mb(work):
    "Most megabytes allocated at once during a call."
    tracemalloc.start()
    try: work(); return tracemalloc.get_traced_memory()[1] / 2**20
    finally: tracemalloc.stop()

def source(prompts):
    "Matrices made as they are asked for."
    rng = np.random.default_rng(0)
    for _ in range(0, prompts, 500): yield from toy_matrix(rng, prompts=500)[0]

def streaming_drain(rank, prompts):
    "The last scores of a stream that is made as it is read."
    return drain(rank, source(prompts))

def table(lines):
    print(pd.DataFrame(lines[1:], columns=lines[0]).to_string(index=False), end="\n\n")

def arguments():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--quick", action="store_true", help="20,000 prompts, counted five times, and fewer "
                        "for networkx: within a minute")
    return parser.parse_args()

def main():
    quick = arguments().quick
    prompts, few = (PROMPTS // 5, 60) if quick else (PROMPTS, 300)
    rng = np.random.default_rng(0)
    matrices = np.concatenate([toy_matrix(rng, prompts=1000)[0] for _ in range(prompts // 1000)])
    def measure(rank, form, rounds):
        return min(spent(lambda: drain(rank, form()))[1] for _ in range(rounds)) * PROMPTS / prompts
    seconds = {name: measure(rank, lambda: matrices, 3) for name, rank in RANKERS.items()}
    streamed = {name: measure(rank, lambda: iter(matrices), 1) for name, rank in RANKERS.items()}
    sizes = [prompts // 10, 3 * prompts // 10, prompts]
    streaming = {name: [peak_mb(partial(streaming_drain, rank, n)) for n in sizes] for name,
                 rank in RANKERS.items()}
    stacked = {name: [peak_mb(partial(rank, matrices[:n])) for n in sizes] for name, rank in RANKERS.items()}

    theirs, apart = {}, {}
    for name in NETWORKX:
        scores, building, ranking = by_networkx(name, matrices[:few])
        theirs[name] = (building, ranking)
        apart[name] = float(
            np.abs(scores - np.array([c for c, _ in score_all(RANKERS[name], matrices[:few])])).max())
    per_100k = {name: sum(parts) * PROMPTS / few for name, parts in theirs.items()}
    ratio = {name: per_100k.get(name, min(per_100k.values())) / s for name, s in seconds.items()}

    table([("ranker, seconds for 100,000", "a stack", "a stream", "networkx / ours")]
             + [(name, f"{s:.2f}", f"{streamed[name]:.2f}",
                 f"{ratio[name]:,.0f}{'' if name in NETWORKX else ' *'}") for name, s in seconds.items()])
    print("* beside the cheaper of networkx's two, which does something else\n")
    table([("peak MB", *(f"stream of {n:,}" for n in sizes), *(f"stack of {n:,}" for n in sizes))]
          + [(name, *(f"{mb:.1f}" for mb in streaming[name] + stacked[name])) for name in RANKERS])
    table([("networkx, us a prompt", "graph", "ranking", "largest difference")]
          + [(NETWORKX[name], f"{1e6 * b / few:.0f}", f"{1e6 * r / few:.0f}", f"{apart[name]:.0e}") for name,
             (b, r) in theirs.items()])
    table([("one product, us a prompt", f"{n} prompts") for n in [2000]]
          + [(name, f"{us:.3f}") for name, us in layouts(matrices[:2000].astype(float)).items()])
    print(
        json.dumps(dict(seconds_per_100k={n: round(s, 3) for n, s in seconds.items()},
                        vs_networkx={n: round(ratio[n], 1) for n in NETWORKX},
                          peak_mb_streamed={n: round(max(mb[i] for mb in streaming.values()), 1) for i,
                                            n in enumerate(sizes)},
                          peak_mb_stacked={n: round(max(mb[i] for mb in stacked.values()), 1) for i,
                                           n in enumerate(sizes)},
                          prompts=prompts, agreement=max(apart.values()))))

if __name__ == "__main__": main()
