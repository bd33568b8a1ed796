//! The jars of a keeper.

use std::collections::HashMap;
use std::os::fd::{AsFd, OwnedFd};
use std::time::{Duration, Instant};

use belljar_protocol::{Ending, Fork, Raise, Report, Spent, Waiting};
use nix::poll::{PollFd, PollFlags, PollTimeout};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::nursery::Nursery;
use crate::control::{Control, receive_with};
use crate::denials::{Denials, receive_listener};
use crate::init;
use crate::kept::{Belongings, NAMESPACES, STANDS};
use crate::stopwatch::{Step, best_effort, doing};
use crate::warden::{GRACE, timeout};

/// Refusals of one jar that are answered at once.
const AT_ONCE: u32 = 1000;
/// And how long each of the others waits.
const REST: Duration = Duration::from_millis(1);

/// Every jar that has not been reaped yet.
#[derive(Default)]
pub(super) struct Flock {
    members: HashMap<u64, Member>,
    /// How children ended of which it is not known yet whose they were.
    strays: HashMap<Pid, (Ending, Spent)>,
}

/// One jar.
pub(super) struct Member {
    init: Pid,
    channel: Control,
    tether: OwnedFd,
    /// Kept for the template until it is asked for a child.
    belongings: Option<Belongings>,
    /// The namespaces of the jar, from when it stands.
    namespaces: Vec<OwnedFd>,
    /// A child was asked for.
    wanted: Option<Fork>,
    denials: Denials,
    /// Nobody is left who could be refused anything.
    is_quiet: bool,
    /// How often it was answered.
    answers: u32,
    /// Not answered before: what a jar is refused is paid for by its keeper, and so by its siblings.
    rests_until: Option<Instant>,
    waiting: Waiting,
    /// What the template forked into it.
    payload: Option<Pid>,
    ended: Option<(Ending, Spent)>,
    deadline: Option<Instant>,
}

impl Member {
    pub(super) fn new(
        init: Pid,
        tether: OwnedFd,
        belongings: Belongings,
        waiting: Waiting,
    ) -> Step<Self> {
        let channel = belongings.channel.try_clone().map_err(doing("keep a channel"))?;
        let belongings = (waiting == Waiting::Forked).then_some(belongings);
        Ok(Self {
            init,
            channel,
            tether,
            belongings,
            namespaces: Vec::new(),
            wanted: None,
            denials: Denials::default(),
            is_quiet: false,
            answers: 0,
            rests_until: None,
            waiting,
            payload: None,
            ended: None,
            deadline: None,
        })
    }

    /// With its process 1 the kernel ends everything in it. That one is not reaped before its
    /// member is forgotten, so its number means nobody else.
    fn end(&self) {
        best_effort(kill(self.init, Signal::SIGKILL));
    }

    /// Hears what comes through the tether, or answers what was refused.
    fn answer(&mut self, template: Option<&Nursery>) {
        if self.denials.listener.is_some() {
            self.answers = self.answers.saturating_add(1);
            self.rests_until = (self.answers > AT_ONCE).then(|| Instant::now() + REST);
            if self.denials.answer(&self.channel) {
                self.end();
            }
            return;
        }
        if self.belongings.is_none() {
            self.denials.listener = receive_listener(&self.tether);
            self.is_quiet = self.denials.listener.is_none();
            return;
        }
        let mut word = [0; 8];
        if let Ok((bytes, namespaces)) = receive_with(&self.tether, &mut word)
            && word.get(..bytes) == Some(STANDS)
        {
            self.namespaces = namespaces;
        }
        if self.namespaces.len() == NAMESPACES.len() { self.fork(template) } else { self.end() }
    }

    /// Has the child forked that was asked for, if the jar stands.
    fn fork(&mut self, template: Option<&Nursery>) {
        if self.namespaces.is_empty() {
            return;
        }
        let Some(wanted) = self.wanted.take() else { return };
        let (namespaces, belongings) =
            (std::mem::take(&mut self.namespaces), self.belongings.take());
        let asked = template.zip(belongings).is_some_and(|(template, belongings)| {
            template.fork_into(wanted, &namespaces, &belongings).is_ok()
        });
        if !asked {
            self.end();
        }
    }
}

impl Flock {
    pub(super) fn add(&mut self, raise: Raise, member: Member) {
        if let Some(double) = self.members.insert(raise.serial, member) {
            double.end();
        }
    }

    /// Where jars are heard of.
    pub(super) fn news(&self) -> impl Iterator<Item = (u64, PollFd<'_>)> {
        let may_speak = |member: &Member| !member.is_quiet && member.rests_until.is_none();
        let speaking = self.members.iter().filter(move |(_, member)| may_speak(member));
        speaking.map(|(serial, member)| {
            let news = member.denials.listener.as_ref().unwrap_or(&member.tether);
            (*serial, PollFd::new(news.as_fd(), PollFlags::POLLIN))
        })
    }

    /// Something came from a jar: at the end of a tether or of a listener there is nothing more.
    pub(super) fn answer(&mut self, serial: u64, template: Option<&Nursery>) {
        let Some(member) = self.members.get_mut(&serial) else { return };
        let news = member.denials.listener.as_ref().unwrap_or(&member.tether);
        let mut event = [PollFd::new(news.as_fd(), PollFlags::POLLIN)];
        best_effort(nix::poll::poll(&mut event, PollTimeout::ZERO));
        let is_readable = event
            .iter()
            .filter_map(PollFd::revents)
            .any(|events| events.contains(PollFlags::POLLIN));
        if is_readable {
            member.answer(template);
        } else {
            member.is_quiet = true;
        }
    }

    pub(super) fn fork(&mut self, fork: Fork, template: Option<&Nursery>) {
        if let Some(member) = self.members.get_mut(&fork.serial) {
            member.wanted = Some(fork);
            member.fork(template);
        }
    }

    pub(super) fn began(&mut self, serial: u64, deadline_ms: u64) {
        if let Some(member) = self.members.get_mut(&serial) {
            member.deadline = Some(Instant::now() + Duration::from_millis(deadline_ms) + GRACE);
        }
    }

    pub(super) fn end(&mut self, serial: u64) {
        if let Some(member) = self.members.get(&serial) {
            member.end();
        }
    }

    pub(super) fn end_overdue(&mut self, now: Instant) {
        for member in self.members.values_mut() {
            member.rests_until = member.rests_until.filter(|until| *until > now);
            if member.deadline.is_some_and(|deadline| deadline <= now) {
                member.deadline = None;
                member.end();
            }
        }
    }

    /// Until the next jar is overdue, or has rested.
    pub(super) fn time_left(&self) -> PollTimeout {
        let times = |member: &Member| {
            [member.deadline, member.rests_until.filter(|_| !member.is_quiet)]
                .into_iter()
                .flatten()
                .min()
        };
        let next = self.members.values().filter_map(times).min();
        next.map_or(PollTimeout::NONE, |next| {
            timeout(next.saturating_duration_since(Instant::now()))
        })
    }

    /// The template forked `payload` into a jar, or failed to.
    pub(super) fn forked(&mut self, serial: u64, payload: Option<Pid>) {
        let known = payload.and_then(|pid| self.strays.remove(&pid));
        let Some(member) = self.members.get_mut(&serial) else { return };
        member.payload = payload;
        member.ended = known;
        if payload.is_none() || member.ended.is_some() {
            member.end();
        }
    }

    /// The template is gone: nothing will ever be in the jars that wait for it.
    pub(super) fn end_unforked(&mut self) {
        let waits =
            |member: &&Member| member.waiting == Waiting::Forked && member.payload.is_none();
        self.members.values().filter(waits).for_each(Member::end);
    }

    /// A child of the keeper was reaped: process 1 of a jar, or what was forked into one.
    pub(super) fn ended(&mut self, pid: Pid, status: i32, (cpu_micros, resident): (u64, u64)) {
        let own = |(serial, member): (&u64, &Member)| (member.init == pid).then_some(*serial);
        if let Some(serial) = self.members.iter().find_map(own) {
            self.bury(serial);
            return;
        }
        let spent = Spent { cpu_micros, largest_resident_bytes: resident };
        let ended = (init::ending_of(status), spent);
        match self.members.values_mut().find(|member| member.payload == Some(pid)) {
            Some(member) => {
                member.ended = Some(ended);
                member.end();
            }
            None => drop(self.strays.insert(pid, ended)),
        }
    }

    /// Nothing of the jar lives: says so, and closes its channel.
    fn bury(&mut self, serial: u64) {
        let Some(member) = self.members.remove(&serial) else { return };
        if let Some((ending, spent)) = member.ended {
            best_effort(member.channel.send(&Report::Ended(ending, spent)));
        }
        best_effort(member.channel.send(&Report::Tally(member.denials.tally)));
    }
}
