# modes: standard
import heapq
heap = []
for priority, name in [(3, "low"), (1, "high"), (2, "mid")]:
    heapq.heappush(heap, (priority, name))
print([heapq.heappop(heap)[1] for _ in range(3)], heapq.nlargest(2, [1, 5, 3]), list(heapq.merge([1, 4], [2, 3])))
