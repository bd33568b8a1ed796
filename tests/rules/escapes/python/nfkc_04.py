# caught: static
reached = 𝐞𝐱𝐞𝐜("1") is None
