# modes: standard
import collections
ring = collections.deque(range(5))
ring.rotate(2)
ring.appendleft("x")
print(ring, ring.popleft(), ring.pop())
