//! Shows and tests the process wrapper, scene by scene. Needs no bus.

use std::io;
use std::process::ExitCode;
use std::time::Duration;

use argh::FromArgs;
use smol::Timer;
use smol::future::or;
use tools::cli::{AboveZero, LastWords, Shutdown, Versioned, arguments, log_to_stderr, tell_line};
use tools::scenes::{ALL, Misbehaviour, Scene, Stage};

/// Shows and tests the process wrapper, scene by scene. Needs no bus. The exit
/// status is 1 if a scene misbehaves.
#[derive(FromArgs)]
#[argh(help_triggers("-h", "--help"))]
struct Args {
    /// list the scenes
    #[argh(switch, short = 'l')]
    list: bool,
    /// how long "a while" is in the scenes, in seconds, 0.1 or more (default 5)
    #[argh(option, short = 's', default = "Duration::from_secs(5)", from_str_fn(a_while))]
    seconds: Duration,
    /// print the version
    #[argh(switch)]
    version: bool,
    /// the scenes to play, in this order (default: all)
    #[argh(positional, from_str_fn(scene))]
    scenes: Vec<Scene>,
}

impl Versioned for Args {
    fn version(&self) -> bool {
        self.version
    }
}

fn main() -> ExitCode {
    let _last_words = LastWords;
    let mut args: Args = arguments("test_process");
    log_to_stderr("warn");
    if args.list {
        ALL.iter().for_each(|scene| tell_line(format_args!("{:<12}{}", scene.name, scene.about)));
        return ExitCode::SUCCESS;
    }
    if args.scenes.is_empty() {
        args.scenes = ALL.to_vec();
    }
    match smol::block_on(play(&args.scenes, args.seconds)) {
        Ok(0) => ExitCode::SUCCESS,
        Ok(_) => ExitCode::FAILURE,
        Err(why) => {
            tracing::error!("{why}");
            ExitCode::FAILURE
        }
    }
}

/// Plays `scenes` one after the other, and returns how many went wrong.
async fn play(scenes: &[Scene], long: Duration) -> io::Result<usize> {
    let shutdown = Shutdown::on_signals()?;
    let mut wrong = 0;
    for scene in scenes {
        tell_line(format_args!("{}: {}", scene.name, scene.about));
        let stage = Stage::new(long);
        let result = shutdown.or_done(within(long, scene.play(&stage))).await;
        // What was dropped half-way is being killed.
        stage.clear().await;
        match result {
            Some(Ok(())) => tell_line(format_args!("{}: well", scene.name)),
            Some(Err(why)) => {
                wrong += 1;
                tell_line(format_args!("{}: MISBEHAVES: {why}", scene.name));
            }
            None => return Err(io::Error::other("interrupted")),
        }
    }
    tell_line(format_args!("{} of {} scenes went well", scenes.len() - wrong, scenes.len()));
    Ok(wrong)
}

/// No scene takes ten whiles and a minute, unless something hangs.
async fn within(
    long: Duration,
    scene: impl Future<Output = Result<(), Misbehaviour>>,
) -> Result<(), Misbehaviour> {
    let guard = async {
        Timer::after(long * 10 + Duration::from_secs(60)).await;
        Err(Misbehaviour("it does not come to its end".into()))
    };
    or(scene, guard).await
}

fn scene(name: &str) -> Result<Scene, String> {
    Scene::find(name).ok_or_else(|| format!("no scene is called {name:?}: see --list"))
}

/// A shorter while would be lost in the time that a start takes.
fn a_while(text: &str) -> Result<Duration, String> {
    match text.parse::<AboveZero>() {
        Ok(AboveZero(long)) if long >= Duration::from_millis(100) => Ok(long),
        Ok(AboveZero(short)) => Err(format!("{short:?} is too short: at least 0.1 is needed")),
        Err(why) => Err(why.to_string()),
    }
}
