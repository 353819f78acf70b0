//! What was measured, for people.

use crate::row::{Measured, Role, Target, median, spread};
use crate::trouble::Trouble;

/// How a table is written.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Form {
    Plain,
    Markdown,
}

/// The fourth names what a figure is divided by: the limit, or ours.
const HEADS: [&str; 5] = ["who", "median", "from – to", "to", "from – to"];

const SUMMARY_HEADS: [&str; 6] = ["row", "figure", "ours", "ratio", "target", "met"];

/// How to read what follows.
pub(crate) const HOW_TO_READ: &str = "\
Every contender of a row does the same work in every round, one after the other, each round beginning
with another; a server has a processor of its own where there are two. Figures are medians over the
rounds, with the least and the greatest. \"To the limit\" is a contender's figure divided by that of the
limit in the same round: the limit is the least that the machine lets anybody do the work with, and no
program that is of use. Where there is none, it is \"to ours\". Ours is marked with a star. Only ratios of one run mean something; the same figure of two machines, or of
two days, does not. A target counts as met only if the median meets it unrounded, in all rounds.";

/// All that there is to say about a row.
pub(crate) fn row(measured: &Measured, form: Form) -> String {
    let mut text = heading(form, &format!("{}: {}", measured.row.key, measured.row.what));
    let mut heads = HEADS;
    heads[3] = match measured.base().map(|base| measured.row.contenders[base].role) {
        Some(Role::Limit) => "to the limit",
        _ => "to ours",
    };
    for (index, metric) in measured.row.metrics.iter().enumerate() {
        let lines: Vec<[String; 5]> =
            (0..measured.row.contenders.len()).map(|who| line(measured, who, index)).collect();
        let (what, target) = (metric.what, target(metric.target, metric.unit));
        text += &format!("{what} [{}]{target}\n{}", metric.unit, grid(&heads, &lines, form));
    }
    for (contender, trouble) in measured.row.contenders.iter().zip(&measured.troubles) {
        if let Some(trouble) = trouble {
            let kind = match trouble {
                Trouble::Missing { .. } => "not measured",
                _ => "FAILED",
            };
            text += &format!("{}: {kind}: {trouble}\n", contender.name);
        }
    }
    text + "\n"
}

/// The targets, and whether they are met.
pub(crate) fn summary(all: &[Measured], form: Form) -> String {
    let mut lines = Vec::new();
    for measured in all {
        for (index, metric) in measured.row.metrics.iter().enumerate() {
            if metric.target == Target::None {
                continue;
            }
            let ours = measured.with_role(Role::Ours).next();
            let value = ours.and_then(|ours| median(measured.values(ours, index)));
            let verdict = measured.verdict(index);
            lines.push([
                measured.row.key.clone(),
                metric.what.to_owned(),
                value.map_or_else(|| "–".to_owned(), |value| number(value) + " " + metric.unit),
                verdict.map_or_else(|| "–".to_owned(), |(ratio, _)| format!("{ratio:.3}")),
                target(metric.target, metric.unit).trim_start_matches(", target: ").to_owned(),
                match verdict {
                    Some((_, true)) => "yes",
                    Some((_, false)) => "NO",
                    None => "not known",
                }
                .to_owned(),
            ]);
        }
    }
    heading(form, "Targets") + &grid(&SUMMARY_HEADS, &lines, form)
}

fn line(measured: &Measured, who: usize, metric: usize) -> [String; 5] {
    let contender = &measured.row.contenders[who];
    let name = match contender.role {
        Role::Ours => format!("* {}", contender.name),
        Role::Limit => format!("limit: {}", contender.name),
        Role::Peer => contender.name.clone(),
    };
    let values = measured.values(who, metric);
    let base = measured.base().filter(|base| *base != who);
    let ratios = base.map(|base| measured.ratios(who, base, metric)).unwrap_or_default();
    let range = |values: &[f64], show: fn(f64) -> String| {
        spread(values)
            .map_or_else(String::new, |(from, to)| format!("{} – {}", show(from), show(to)))
    };
    let ratio = |ratio: f64| format!("{ratio:.3}");
    [
        name,
        median(values.clone()).map_or_else(|| "–".to_owned(), number),
        range(&values, number),
        median(ratios.clone()).map_or_else(String::new, ratio),
        range(&ratios, ratio),
    ]
}

fn target(target: Target, unit: &str) -> String {
    match target {
        Target::OfLimit(least) => format!(", target: at least {least} of the limit"),
        Target::TimesLimit(most) => format!(", target: at most {most} times the limit"),
        Target::Ahead => ", target: ahead of the peers".to_owned(),
        Target::AtMost(most) => format!(", target: at most {most} {unit}"),
        Target::None => String::new(),
    }
}

fn heading(form: Form, text: &str) -> String {
    match form {
        Form::Plain => format!("== {text}\n"),
        Form::Markdown => format!("### {text}\n\n"),
    }
}

/// Columns of words, the first to the left and the others to the right.
fn grid<const N: usize>(heads: &[&str; N], lines: &[[String; N]], form: Form) -> String {
    let heads = heads.map(str::to_owned);
    let mut text = String::new();
    if form == Form::Markdown {
        let row = |cells: &[String; N]| format!("| {} |\n", cells.join(" | "));
        text += "\n";
        text += &row(&heads);
        text += &format!("|---|{}\n", "--:|".repeat(N - 1));
        lines.iter().for_each(|line| text += &row(line));
        return text + "\n";
    }
    let length = |cell: &String| cell.chars().count();
    let width = |column: usize| {
        let cells = lines.iter().map(|line| length(&line[column]));
        cells.chain([length(&heads[column])]).max().unwrap_or_default()
    };
    for line in std::iter::once(&heads).chain(lines) {
        let cells = line.iter().enumerate().map(|(column, cell)| match column {
            0 => format!("  {cell:<width$}", width = width(0)),
            _ => format!("  {cell:>width$}", width = width(column)),
        });
        text += cells.collect::<String>().trim_end();
        text += "\n";
    }
    text
}

/// A number to four digits, as people read it.
fn number(value: f64) -> String {
    match value.abs() {
        size if size >= 1e7 => format!("{:.2} M", value / 1e6),
        size if size >= 1e6 => format!("{:.3} M", value / 1e6),
        size if size >= 1e4 => format!("{:.2} k", value / 1e3),
        size if size >= 100.0 => format!("{value:.0}"),
        size if size >= 10.0 => format!("{value:.1}"),
        _ => format!("{value:.2}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_keep_four_digits() {
        let shown = [37_123_456.0, 2_170_000.0, 21_704.0, 2170.4, 21.74, 0.587].map(number);
        assert_eq!(shown, ["37.12 M", "2.170 M", "21.70 k", "2170", "21.7", "0.59"]);
    }

    #[test]
    fn columns_stand_under_each_other() {
        let lines = [["a".to_owned(), "1".to_owned()], ["long name".to_owned(), "100".to_owned()]];
        let shown = grid(&["who", "n"], &lines, Form::Plain);
        assert_eq!(shown, "  who          n\n  a            1\n  long name  100\n");
        let shown = grid(&["who", "n"], &lines, Form::Markdown);
        assert_eq!(shown, "\n| who | n |\n|---|--:|\n| a | 1 |\n| long name | 100 |\n\n");
    }
}
