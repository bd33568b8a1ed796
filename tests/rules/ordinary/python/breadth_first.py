# modes: restricted standard
graph = {"a": ["b", "c"], "b": ["d"], "c": ["d"], "d": []}
def path(start, goal):
    queue, seen = [[start]], {start}
    while queue:
        way = queue.pop(0)
        if way[-1] == goal:
            return way
        for following in graph[way[-1]]:
            if following not in seen:
                seen.add(following)
                queue.append(way + [following])
print(path("a", "d"))
