//! A view as a picture of a whole terminal.

use std::time::Instant;

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::{Line, Text};
use ratatui::widgets::{Block, Borders, Paragraph};

use super::text::{self, flow, or_none};
use super::view::{Link, View};

/// What colours may be used. Whatever they say is said in words too.
#[derive(Clone, Copy, Debug)]
pub(super) struct Paint(bool);

impl Paint {
    /// As the environment asks: none where `NO_COLOR` is set to anything.
    pub(super) fn from_environment() -> Self {
        Self(std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty()))
    }

    fn style(self, colour: Color, modifier: Modifier) -> Style {
        let style = Style::new().add_modifier(modifier);
        if self.0 { style.fg(colour) } else { style }
    }
}

/// Where the queue is, and how far it can be scrolled.
#[derive(Clone, Copy, Default, Debug)]
pub(super) struct Scroll {
    /// Lines of the queue above the first that is shown.
    pub(super) above: usize,
    /// Lines of it that are shown at once.
    pub(super) page: usize,
}

/// Draws it all; `footer` is the last line.
pub(super) fn draw(
    frame: &mut Frame<'_>,
    view: &View,
    scroll: &mut Scroll,
    footer: &str,
    paint: Paint,
) {
    let (area, now) = (frame.area(), Instant::now());
    let width = usize::from(area.width);
    let header = flow(&text::header(view, now), width);
    let figures = flow(&text::figures(&view.snapshot.counters), width);
    let [schedulers, running, pending] = text::sections(view, width);
    let events = text::events(view);
    let heads = rows(header.len() + figures.len() + 1);
    let share = |part: u16| (area.height.saturating_sub(heads) / part).max(3);
    let table =
        |lines: &[String], part| Constraint::Length(rows(lines.len().max(1) + 1).min(share(part)));
    let [above, numbers, first, second, queue, last, foot] = Layout::vertical([
        Constraint::Length(rows(header.len())),
        Constraint::Length(rows(figures.len())),
        table(&schedulers.1, 5),
        table(&running.1, 4),
        Constraint::Min(3),
        table(&events, 4),
        Constraint::Length(1),
    ])
    .areas(area);
    let bold = paint.style(Color::Reset, Modifier::BOLD);
    frame.render_widget(lines(header, link_style(view, now, paint)), above);
    frame.render_widget(lines(figures, bold), numbers);
    section(frame, first, schedulers.0, &fit(schedulers.1, first), paint);
    section(frame, second, running.0, &fit(running.1, second), paint);
    draw_queue(frame, queue, pending, scroll, paint);
    let skip = events.len().saturating_sub(inside(last));
    section(frame, last, "LAST EVENTS", &or_none(events)[skip..], paint);
    let reversed = paint.style(Color::Reset, Modifier::REVERSED);
    frame.render_widget(lines(vec![footer.to_owned()], reversed), foot);
}

/// The queue, under a heading that stays.
fn draw_queue(
    frame: &mut Frame<'_>,
    area: Rect,
    (title, mut queue): (&str, Vec<String>),
    scroll: &mut Scroll,
    paint: Paint,
) {
    let heading = if queue.is_empty() { None } else { Some(queue.remove(0)) };
    scroll.page = inside(area).saturating_sub(1);
    scroll.above = scroll.above.min(queue.len().saturating_sub(scroll.page));
    let end = (scroll.above + scroll.page).min(queue.len());
    let title = match queue.len() > scroll.page {
        true => format!("{title} (lines {} to {end} of {})", scroll.above + 1, queue.len()),
        false => title.to_owned(),
    };
    let shown = heading.into_iter().chain(queue.drain(scroll.above..end)).collect();
    section(frame, area, &title, &or_none(shown), paint);
}

fn section(frame: &mut Frame<'_>, area: Rect, title: &str, rows: &[String], paint: Paint) {
    let style = paint.style(Color::Cyan, Modifier::BOLD);
    let block = Block::new().borders(Borders::TOP).title(Line::styled(format!("{title} "), style));
    let rows = lines(rows.to_vec(), Style::new()).block(block);
    frame.render_widget(rows, area);
}

fn lines(rows: Vec<String>, style: Style) -> Paragraph<'static> {
    Paragraph::new(Text::from(rows.into_iter().map(Line::from).collect::<Vec<_>>())).style(style)
}

fn link_style(view: &View, now: Instant, paint: Paint) -> Style {
    match view.link(now) {
        Link::Connected => paint.style(Color::Green, Modifier::BOLD),
        Link::Stale(..) => paint.style(Color::Red, Modifier::BOLD | Modifier::REVERSED),
    }
}

/// What there is no room for is counted.
fn fit(lines: Vec<String>, area: Rect) -> Vec<String> {
    let (mut lines, room) = (or_none(lines), inside(area));
    if lines.len() > room && room > 0 {
        let hidden = lines.len() - (room - 1);
        lines.truncate(room - 1);
        lines.push(format!("… {hidden} more lines"));
    }
    lines
}

/// Lines of a section, under its title.
fn inside(area: Rect) -> usize {
    usize::from(area.height.saturating_sub(1))
}

fn rows(count: usize) -> u16 {
    u16::try_from(count).unwrap_or(u16::MAX)
}
