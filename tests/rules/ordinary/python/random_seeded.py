# modes: standard
import random
random.seed(42)
numbers = [random.randint(1, 6) for _ in range(5)]
random.seed(42)
print(numbers == [random.randint(1, 6) for _ in range(5)], len(random.sample(range(100), 10)), 0 <= random.random() < 1)
generator = random.Random(7)
print(generator.choice("abc") in "abc", sorted(random.sample([1, 2, 3], 3)))
