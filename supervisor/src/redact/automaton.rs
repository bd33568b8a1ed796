use zeroize::Zeroizing;

/// One form of a secret, and the index of that secret's name.
pub(super) struct Needle {
    pub(super) bytes: Zeroizing<Vec<u8>>,
    pub(super) name: u32,
}

/// The state in which nothing of a needle was seen.
pub(super) const ROOT: u32 = 0;

/// The Aho-Corasick automaton of all needles.
///
/// Its own rather than a library's, because the needles in it are wiped when it goes, and because
/// the depth of a state says how much of a stream may still become a needle. States are numbered
/// level by level: the children of one follow each other, so a state takes 20 bytes and a step a
/// short binary search.
pub(super) struct Automaton {
    states: Vec<State>,
    /// The byte that leads into each state; ascending among the children of one state.
    bytes: Zeroizing<Vec<u8>>,
    /// Where each byte leads from the root.
    first: Box<[u32; 256]>,
    labels: Vec<String>,
}

#[derive(Clone, Copy, Default)]
struct State {
    first_child: u32,
    /// The state of the longest proper suffix that is also a beginning of a needle.
    fallback: u32,
    depth: u32,
    /// The longest needle that ends here, or 0.
    match_bytes: u32,
    name: u32,
}

impl Automaton {
    pub(super) fn new(mut needles: Vec<Needle>, labels: Vec<String>) -> Self {
        needles.sort_unstable_by(|a, b| (&*a.bytes, a.name).cmp(&(&*b.bytes, b.name)));
        needles.dedup_by(|later, earlier| later.bytes == earlier.bytes);
        // Large enough for a trie without a shared prefix: a reallocation would not be wiped.
        let most = 1 + needles.iter().map(|needle| needle.bytes.len()).sum::<usize>();
        let mut automaton = Self {
            states: vec![State::default()],
            bytes: Zeroizing::new(Vec::with_capacity(most)),
            first: Box::new([ROOT; 256]),
            labels,
        };
        automaton.bytes.push(0);
        // The needles that pass through each state are neighbours, as they are sorted.
        let mut passing = vec![needles.as_slice()];
        let mut parent = 0;
        while let Some(group) = passing.get(parent).copied() {
            automaton.grow(parent, group, &mut passing);
            parent += 1;
        }
        automaton
    }

    /// Whether `byte` leads away from the root.
    pub(super) fn starts(&self, byte: u8) -> bool {
        self.root_child(byte) != ROOT
    }

    /// The state after `byte`. Any number of calls falls back at most once per call on average.
    pub(super) fn step(&self, mut state: u32, byte: u8) -> u32 {
        loop {
            if state == ROOT {
                return self.root_child(byte);
            }
            if let Some(child) = self.child(state, byte) {
                return child;
            }
            state = self.state(state).fallback;
        }
    }

    /// Bytes that the state stands for.
    pub(super) fn depth(&self, state: u32) -> usize {
        self.state(state).depth as usize
    }

    /// Length and name of the longest needle that ends in this state.
    pub(super) fn longest_match(&self, state: u32) -> Option<(usize, u32)> {
        let State { match_bytes, name, .. } = self.state(state);
        (match_bytes > 0).then_some((match_bytes as usize, name))
    }

    pub(super) fn label(&self, name: u32) -> &str {
        self.labels.get(name as usize).map_or("[redacted]", String::as_str)
    }

    /// Adds the children of `parent`, through which `group` passes.
    fn grow<'n>(
        &mut self,
        parent: usize,
        mut group: &'n [Needle],
        passing: &mut Vec<&'n [Needle]>,
    ) {
        let first_child = index(self.states.len());
        let Some(state) = self.states.get_mut(parent) else { return };
        state.first_child = first_child;
        let State { depth, fallback, .. } = *state;
        let byte_of = |needle: &Needle| needle.bytes.get(depth as usize).copied();
        while let Some(needle) = group.first() {
            let Some(byte) = byte_of(needle) else {
                // The needle that ends in the parent sorts before those that go on.
                group = group.get(1..).unwrap_or_default();
                continue;
            };
            let same = group.partition_point(|needle| byte_of(needle) <= Some(byte));
            let (through, others) = group.split_at(same);
            let fallback = if parent == 0 { ROOT } else { self.step(fallback, byte) };
            let inherited = self.state(fallback);
            let mut child = State { depth: depth + 1, fallback, ..inherited };
            if needle.bytes.len() == child.depth as usize {
                (child.match_bytes, child.name) = (child.depth, needle.name);
            }
            if parent == 0
                && let Some(slot) = self.first.get_mut(usize::from(byte))
            {
                *slot = index(self.states.len());
            }
            self.states.push(child);
            self.bytes.push(byte);
            passing.push(through);
            group = others;
        }
    }

    fn root_child(&self, byte: u8) -> u32 {
        self.first.get(usize::from(byte)).copied().unwrap_or(ROOT)
    }

    fn child(&self, state: u32, byte: u8) -> Option<u32> {
        let from = self.state(state).first_child as usize;
        // The next state's children begin where these end.
        let to = self
            .states
            .get(state as usize + 1)
            .map_or(self.states.len(), |next| next.first_child as usize);
        let found = self.bytes.get(from..to)?.binary_search(&byte).ok()?;
        Some(index(from + found))
    }

    fn state(&self, state: u32) -> State {
        self.states.get(state as usize).copied().unwrap_or_default()
    }
}

/// Secrets are a few dozen KiB, so that states are far fewer than `u32` counts.
fn index(position: usize) -> u32 {
    u32::try_from(position).unwrap_or(u32::MAX)
}
