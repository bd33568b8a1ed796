# modes: restricted standard
transitions = {("idle", "start"): "running", ("running", "pause"): "paused", ("paused", "start"): "running", ("running", "stop"): "idle"}
state = "idle"
for event in ("start", "pause", "start", "stop", "stop"):
    state = transitions.get((state, event), state)
    print(event, state)
