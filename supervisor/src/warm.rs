use std::time::Duration;

/// How much is kept ready ahead of time, and for how long.
///
/// ```
/// let warm = belljar::Warm::default().min(4).max(16);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub struct Warm {
    pub(crate) min: usize,
    pub(crate) max: usize,
    pub(crate) memory_bytes: u64,
    pub(crate) idle: Duration,
    pub(crate) template: Template,
}

/// What a runtime's template has imported, and when it is replaced by a new one.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub struct Template {
    pub(crate) preload: Option<Vec<String>>,
    pub(crate) memory_bytes: u64,
    pub(crate) runs: u64,
    pub(crate) age: Duration,
}

/// What is warm.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Warmth {
    /// Jars in which something waits.
    pub ready: usize,
    /// Jars that are being raised.
    pub raising: usize,
    /// How many are to wait at present.
    pub target: usize,
    /// How many templates, or keepers of jars, there were so far.
    pub generation: u64,
    /// Why nothing is forked or kept, if something was to be.
    pub refused: Option<String>,
}

impl Default for Warm {
    /// Two to eight jars, within 512 MiB, for a minute.
    fn default() -> Self {
        Self {
            min: 2,
            max: 8,
            memory_bytes: 512 << 20,
            idle: Duration::from_mins(1),
            template: Template::default(),
        }
    }
}

impl Default for Template {
    /// What the runtime imports by itself; a new one every thousand runs, or ten minutes.
    fn default() -> Self {
        let memory_bytes = 512 << 20;
        Self { preload: None, memory_bytes, runs: 1000, age: Duration::from_mins(10) }
    }
}

impl Warm {
    /// How many jars wait at least.
    pub fn min(mut self, min: usize) -> Self {
        self.min = min;
        self.max = self.max.max(min);
        self
    }

    /// And at most: as many as runs arrive at once, if that is between the two.
    pub fn max(mut self, max: usize) -> Self {
        self.max = max;
        self.min = self.min.min(max);
        self
    }

    /// How much memory what waits may use together.
    pub fn memory_bytes(mut self, bytes: u64) -> Self {
        self.memory_bytes = bytes;
        self
    }

    /// For how long a burst is remembered: then there is again what waits at least.
    pub fn idle(mut self, idle: Duration) -> Self {
        self.idle = idle;
        self
    }

    /// What is forked, for runtimes that can be.
    pub fn template(mut self, template: Template) -> Self {
        self.template = template;
        self
    }
}

impl Template {
    /// The modules that it imports, instead of those that the runtime names.
    pub fn preload<M: Into<String>>(mut self, modules: impl IntoIterator<Item = M>) -> Self {
        self.preload = Some(modules.into_iter().map(Into::into).collect());
        self
    }

    /// How much private memory it may have: 512 MiB otherwise.
    pub fn memory_bytes(mut self, bytes: u64) -> Self {
        self.memory_bytes = bytes;
        self
    }

    /// After how many runs it is replaced: all of them share an address layout and a hash seed.
    pub fn runs(mut self, runs: u64) -> Self {
        self.runs = runs.max(1);
        self
    }

    /// And after how long.
    pub fn age(mut self, age: Duration) -> Self {
        self.age = age;
        self
    }
}
