//! A node of RabbitMQ with nothing of its own outside a directory.

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::child::{Server, directory};
use crate::cleanup::Guard;
use crate::kit::Kit;
use crate::machine::Place;
use crate::trouble::{Doing, Result, Trouble};

/// What the `rabbitmq-server` of packages runs as another user, with its output
/// in the system's directories.
const SCRIPT: &str = "/usr/lib/rabbitmq/bin/rabbitmq-server";

/// What is added to the virtual machine's arguments: no input, although the
/// script is to allow it; and a name, but nobody else who would ask for it.
/// RabbitMQ starts `epmd`, which would stay, unless the node has its name
/// before; and wants to be told some port of the node, which does not listen.
const ARGUMENTS: &str =
    "-noinput -sname bench@localhost -start_epmd false -dist_listen false -erl_epmd_port 1";

/// A node that runs.
pub(crate) struct Node {
    /// It ends before its files go.
    server: Server,
    _files: Guard,
}

impl Node {
    /// Starts one, and waits until it listens, which takes some seconds.
    pub(crate) fn start(kit: &Kit) -> Result<Self> {
        if !Path::new(SCRIPT).is_file() {
            return Err(Trouble::missing("rabbitmq-server", "package rabbitmq-server"));
        }
        let files = kit.file("rabbitmq");
        let guard = directory(&files)?;
        let server = Server::told(Place::Server, |port| command(&files, port))?;
        // Else the time of a shell would be taken for that of the server.
        let name = fs::read_to_string(format!("/proc/{}/comm", server.pid()));
        let name = name.doing("ask for the name of a process")?;
        if !name.starts_with("beam") {
            return Err(Trouble::wrong(format_args!("{SCRIPT} stays, and should become Erlang")));
        }
        Ok(Self { server, _files: guard })
    }

    pub(crate) const fn pid(&self) -> u32 {
        self.server.pid()
    }

    pub(crate) const fn port(&self) -> u16 {
        self.server.port()
    }
}

fn command(files: &Path, port: u16) -> Command {
    let mut command = Command::new(SCRIPT);
    command.current_dir(files).env_clear();
    command.envs(std::env::var_os("PATH").map(|path| ("PATH", path)));
    // The script becomes the virtual machine, and does not wait for it.
    command.env("RABBITMQ_ALLOW_INPUT", "1");
    command.env("RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS", ARGUMENTS);
    command.env("RABBITMQ_NODENAME", "bench@localhost");
    command.env("RABBITMQ_NODE_IP_ADDRESS", "127.0.0.1");
    command.env("RABBITMQ_NODE_PORT", port.to_string());
    // Of these only what it writes itself is there, and no configuration.
    let paths = [
        ("HOME", ""),
        ("RABBITMQ_CONF_ENV_FILE", "environment"),
        ("RABBITMQ_CONFIG_FILE", "configuration"),
        ("RABBITMQ_ADVANCED_CONFIG_FILE", "advanced"),
        ("RABBITMQ_ENABLED_PLUGINS_FILE", "plugins"),
        ("RABBITMQ_MNESIA_BASE", "data"),
        ("RABBITMQ_LOG_BASE", "log"),
    ];
    command.envs(paths.map(|(name, file)| (name, files.join(file))));
    command
}
