# modes: standard
import heapq
graph = {"a": {"b": 7, "c": 3}, "b": {"d": 2}, "c": {"b": 1, "d": 8}, "d": {}}
def shortest(start):
    best, queue = {start: 0}, [(0, start)]
    while queue:
        cost, node = heapq.heappop(queue)
        for following, step in graph[node].items():
            if cost + step < best.get(following, float("inf")):
                best[following] = cost + step
                heapq.heappush(queue, (cost + step, following))
    return best
print(shortest("a"))
