//! The live view: what is heard, what is pressed, and when it is drawn.

use std::time::{Duration, Instant};

use ratatui::crossterm::event::{self, Event, KeyCode, KeyEvent, KeyEventKind, KeyModifiers};
use sched_core::bus::SessionEvent;
use sched_runtime_smol::bus::BusUrl;

use super::begin;
use super::screen::{self, Paint, Scroll};
use super::terminal::{Screen, failed};
use super::view::View;
use crate::sched::words::one_line;
use crate::sched::{Failure, Patience, Seen, Snapshot, Watch};

/// How often keys are looked for, and what has changed is drawn.
const FRAME: Duration = Duration::from_millis(100);
/// How often it is drawn in any case, for its age.
const AGES: Duration = Duration::from_millis(500);
/// How old a snapshot becomes while nothing happens.
const AT_REST: Duration = Duration::from_secs(1);
/// And while something does.
const IN_MOTION: Duration = Duration::from_millis(300);

/// Shows a bus until it is left by a key, or this says that it is over.
pub(super) async fn show(
    url: BusUrl,
    patience: Patience,
    is_over: impl Fn() -> bool + Send,
) -> Result<(), Failure> {
    let (watch, view) = begin(url, patience).await?;
    let screen = Screen::take()?;
    let mut live = Live {
        watch,
        view,
        screen,
        paint: Paint::from_environment(),
        scroll: Scroll::default(),
        prompt: Prompt::Keys,
        looked: Instant::now(),
        waiting: false,
        moved: false,
        changed: true,
    };
    let done = live.run(is_over).await;
    let Live { watch, screen, .. } = live;
    drop(screen);
    // One that is away would be waited for.
    if watch.is_up() {
        watch.end().await;
    }
    done
}

#[derive(Debug)]
struct Live {
    watch: Watch,
    view: View,
    screen: Screen,
    paint: Paint,
    scroll: Scroll,
    prompt: Prompt,
    /// When the last snapshot was asked for.
    looked: Instant,
    /// Whether it has not come yet.
    waiting: bool,
    /// Whether something has happened since.
    moved: bool,
    /// Whether there is something new to draw.
    changed: bool,
}

/// What the last line is about.
#[derive(Clone, PartialEq, Eq, Debug)]
enum Prompt {
    /// The keys that there are.
    Keys,
    /// Whether this verb is meant.
    Asking(&'static str),
    /// This verb was sent, as this request.
    Sent(&'static str, u64),
    /// What came of it.
    Said(String),
}

impl Prompt {
    fn line(&self) -> String {
        match self {
            Self::Keys => {
                "q quit  \u{2191}\u{2193} PgUp PgDn scroll  p pause  r resume  d drain".to_owned()
            }
            Self::Asking(verb) => format!("{verb} the whole bus? y/n"),
            Self::Sent(verb, _) => format!("{verb}: sent, not answered yet"),
            Self::Said(what) => what.clone(),
        }
    }
}

impl Live {
    async fn run(&mut self, is_over: impl Fn() -> bool) -> Result<(), Failure> {
        let mut due = Instant::now();
        let mut drawn = None;
        loop {
            self.watch.wake_at(Some(due));
            let seen = self.watch.next().await?;
            self.see(seen)?;
            let now = Instant::now();
            if now < due {
                continue;
            }
            due = now + FRAME;
            if is_over() || self.keys_say_quit().await? {
                return Ok(());
            }
            self.look(now).await?;
            let is_old = drawn.is_none_or(|then| now.saturating_duration_since(then) >= AGES);
            if !self.changed && !is_old {
                continue;
            }
            (self.changed, drawn) = (false, Some(now));
            let (view, scroll, paint) = (&self.view, &mut self.scroll, self.paint);
            let footer = self.prompt.line();
            self.screen.draw(|frame| screen::draw(frame, view, scroll, &footer, paint))?;
        }
    }

    fn see(&mut self, seen: Seen) -> Result<(), Failure> {
        let durable = self.watch.welcome().is_some_and(|welcome| welcome.durable);
        self.changed |= seen != Seen::Alarm;
        match seen {
            Seen::Event(text) => {
                self.moved = true;
                self.view.handle_event(&text);
            }
            Seen::Snapshot(text) => {
                self.waiting = false;
                self.view.handle_snapshot(Snapshot::parse(&text)?);
            }
            Seen::Away(why) => self.view.handle_away(&why),
            Seen::Back => {
                (self.waiting, self.moved) = (false, true);
                self.view.handle_back(durable);
            }
            Seen::NewBus => self.view.handle_new_bus(durable),
            Seen::Other(event) => self.hear(event),
            Seen::Alarm => {}
        }
        Ok(())
    }

    /// What came of a verb.
    fn hear(&mut self, event: SessionEvent) {
        let Prompt::Sent(verb, asked) = self.prompt else { return };
        let what = match event {
            SessionEvent::Done { request } if request == asked => "done".to_owned(),
            SessionEvent::Unknown { request } if request == asked => {
                "the connection broke; whether it was done is not known".to_owned()
            }
            SessionEvent::Refused { request, message, .. } if request == Some(asked) => {
                format!("the bus refuses: {}", one_line(&message))
            }
            _ => return,
        };
        self.moved = true;
        self.prompt = Prompt::Said(format!("{verb}: {what}"));
    }

    /// Asks for a snapshot, where the last one is old enough.
    async fn look(&mut self, now: Instant) -> Result<(), Failure> {
        let wait = if self.moved { IN_MOTION } else { AT_REST };
        let is_late = now.saturating_duration_since(self.looked) >= wait;
        let may = !self.waiting && self.view.is_complete() && self.watch.is_up();
        if is_late && may && self.watch.look_again().await? {
            (self.looked, self.waiting, self.moved) = (now, true, false);
        }
        Ok(())
    }

    async fn keys_say_quit(&mut self) -> Result<bool, Failure> {
        while event::poll(Duration::ZERO).map_err(|why| failed(&why))? {
            self.changed = true;
            let Event::Key(key) = event::read().map_err(|why| failed(&why))? else { continue };
            if key.kind != KeyEventKind::Release && self.key_says_quit(key).await? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    async fn key_says_quit(&mut self, key: KeyEvent) -> Result<bool, Failure> {
        let Scroll { above, page } = &mut self.scroll;
        match (key.code, &self.prompt) {
            (KeyCode::Char('c'), _) if key.modifiers.contains(KeyModifiers::CONTROL) => {
                return Ok(true);
            }
            (KeyCode::Char('q'), _) => return Ok(true),
            (KeyCode::Up, _) => *above = above.saturating_sub(1),
            (KeyCode::Down, _) => *above = above.saturating_add(1),
            (KeyCode::PageUp, _) => *above = above.saturating_sub(*page),
            (KeyCode::PageDown, _) => *above = above.saturating_add(*page),
            (KeyCode::Home, _) => *above = 0,
            (KeyCode::End, _) => *above = usize::MAX / 2,
            (KeyCode::Char('y'), &Prompt::Asking(verb)) => self.send(verb).await?,
            (KeyCode::Char('n') | KeyCode::Esc, Prompt::Asking(_)) => self.prompt = Prompt::Keys,
            // A question or a request that is open is not covered by another.
            (_, Prompt::Asking(_) | Prompt::Sent(..)) => {}
            (KeyCode::Char('p'), _) => self.prompt = Prompt::Asking("pause"),
            (KeyCode::Char('r'), _) => self.prompt = Prompt::Asking("resume"),
            (KeyCode::Char('d'), _) => self.prompt = Prompt::Asking("drain"),
            (_, Prompt::Said(_)) => self.prompt = Prompt::Keys,
            _ => {}
        }
        Ok(false)
    }

    /// Nothing is kept for a bus that is away: it would come as a surprise.
    async fn send(&mut self, verb: &'static str) -> Result<(), Failure> {
        self.prompt = if self.watch.is_up() {
            let request = self.watch.ask(move |session| session.admin(verb, None)).await?;
            Prompt::Sent(verb, request)
        } else {
            Prompt::Said(format!("{verb}: not sent, there is no connection"))
        };
        Ok(())
    }
}
