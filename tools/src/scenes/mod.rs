//! The scenes of `test_process`: what the process wrapper does, shown and checked.

mod basics;
mod crowds;
mod stage;
mod stubborn;

use std::pin::Pin;

pub use stage::{Misbehaviour, Stage};

/// One thing that the process wrapper does.
#[derive(Clone, Copy, Debug)]
pub struct Scene {
    /// What it is called on the command line.
    pub name: &'static str,
    /// What it shows.
    pub about: &'static str,
    play: for<'a> fn(&'a Stage) -> Playing<'a>,
}

type Playing<'a> = Pin<Box<dyn Future<Output = Result<(), Misbehaviour>> + 'a>>;

/// All scenes, in the order in which they are played.
pub const ALL: [Scene; 11] = [
    Scene {
        name: "together",
        about: "several raw processes, awaited together",
        play: |stage| Box::pin(basics::together(stage)),
    },
    Scene {
        name: "wait",
        about: "a task that is actively waited for",
        play: |stage| Box::pin(basics::wait(stage)),
    },
    Scene {
        name: "callback",
        about: "a task with a callback, while the caller goes on",
        play: |stage| Box::pin(basics::callback(stage)),
    },
    Scene {
        name: "failure",
        about: "an exit code that is not 0, a program that is not there, a second start",
        play: |stage| Box::pin(basics::failure(stage)),
    },
    Scene {
        name: "time-limit",
        about: "a long task with a time limit",
        play: |stage| Box::pin(basics::time_limit(stage)),
    },
    Scene {
        name: "terminate",
        about: "a long task that is terminated after a while",
        play: |stage| Box::pin(basics::terminate(stage)),
    },
    Scene {
        name: "deaf",
        about: "a child that ignores TERM",
        play: |stage| Box::pin(stubborn::deaf(stage)),
    },
    Scene {
        name: "family",
        about: "a child with grandchildren",
        play: |stage| Box::pin(stubborn::family(stage)),
    },
    Scene {
        name: "orphans",
        about: "grandchildren whose parent ends by itself",
        play: |stage| Box::pin(stubborn::orphans(stage)),
    },
    Scene {
        name: "burst",
        about: "many tasks terminated at once, some of them while they start",
        play: |stage| Box::pin(crowds::burst(stage)),
    },
    Scene {
        name: "thousand",
        about: "1,000 short children",
        play: |stage| Box::pin(crowds::thousand(stage)),
    },
];

impl Scene {
    /// The scene called `name`.
    #[must_use]
    pub fn find(name: &str) -> Option<Self> {
        ALL.into_iter().find(|scene| scene.name == name)
    }

    /// Plays it. Nothing is left of its processes afterwards.
    ///
    /// # Errors
    ///
    /// Something did not go as it should.
    pub async fn play(&self, stage: &Stage) -> Result<(), Misbehaviour> {
        (self.play)(stage).await
    }
}
