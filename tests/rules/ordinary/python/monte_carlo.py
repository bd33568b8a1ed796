# modes: standard
import random
rng = random.Random(12345)
inside = sum(rng.random() ** 2 + rng.random() ** 2 <= 1 for _ in range(20000))
print(abs(4 * inside / 20000 - 3.14159) < 0.05)
