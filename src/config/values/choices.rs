//! Values that are one word out of a few.

use super::{ConfigValue, ValueError};
use gpu::probe::Level;
use protocol::handover::{OnHang, Scope, UsageSign, WorkloadKind};
use serde_json::{Value as Json, json};

/// Declares an enum whose values are words.
macro_rules! choice {
    ($(#[$about:meta])+ $name:ident { $($(#[$doc:meta])+ $variant:ident = $word:literal,)+ }) => {
        $(#[$about])+
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum $name {
            $($(#[$doc])+ $variant,)+
        }

        words!($name { $($variant = $word,)+ });

        impl $name {
            /// Returns the word of the value.
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $word,)+
                }
            }
        }
    };
}

/// Implements the form and parser of an enum of words.
macro_rules! words {
    ($name:ident { $first:ident = $first_word:literal, $($variant:ident = $word:literal,)* }) => {
        impl ConfigValue for $name {
            fn form() -> String {
                concat!("one of ", $first_word $(, ", ", $word)*).into()
            }

            fn parse(text: &str) -> Result<Self, ValueError> {
                match text {
                    $first_word => Ok(Self::$first),
                    $($word => Ok(Self::$variant),)*
                    _ => Err(ValueError::Form),
                }
            }

            fn schema() -> Json {
                json!({"enum": [$first_word $(, $word)*]})
            }
        }
    };
}

choice! {
    /// What is done about pointers of Git LFS.
    Lfs {
        /// Their contents are fetched.
        Auto = "auto",
        /// They stay as they are.
        Off = "off",
    }
}

choice! {
    /// Which program installs.
    #[derive(Default)]
    Installer {
        /// uv if it is there, else pip.
        #[default]
        Auto = "auto",
        /// uv.
        Uv = "uv",
        /// pip.
        Pip = "pip",
    }
}

choice! {
    /// Where packages go.
    #[derive(Default)]
    Target {
        /// To the interpreter's own, where that is allowed and possible, else into a layer.
        #[default]
        Auto = "auto",
        /// To the interpreter's own, also a system's.
        System = "system",
        /// Into the virtual or conda environment that the interpreter is in.
        Venv = "venv",
        /// Into a layer over it.
        Layer = "layer",
    }
}

choice! {
    /// The cloud whose notices are stops.
    #[derive(Default)]
    PreemptChoice {
        /// None is asked.
        #[default]
        Off = "off",
        /// The cloud that the machine's firmware names.
        Auto = "auto",
        /// Amazon EC2.
        Aws = "aws",
        /// Google Compute Engine.
        Gcp = "gcp",
        /// Microsoft Azure.
        Azure = "azure",
    }
}

choice! {
    /// How a stopped job is started again.
    #[derive(Default)]
    Requeue {
        /// By its engine alone.
        #[default]
        Off = "off",
        /// By Slurm's command.
        Scontrol = "scontrol",
    }
}

choice! {
    /// Who asks a person who opens Jupyter to prove who it is.
    #[derive(Default)]
    JupyterAuth {
        /// Jupyter itself, by a token or a password.
        #[default]
        Token = "token",
        /// The platform's proxy in front of it.
        Proxy = "proxy",
        /// Nothing that trainit knows of.
        None = "none",
    }
}

choice! {
    /// What a failure in the preparations means.
    #[derive(Default)]
    OnError {
        /// The start fails.
        #[default]
        Fail = "fail",
        /// The start goes on, with a warning.
        Warn = "warn",
    }
}

choice! {
    /// How bad it is when a check finds something.
    Severity {
        /// The check does not run.
        Off = "off",
        /// Told, and the start goes on.
        Warn = "warn",
        /// The start fails.
        Fail = "fail",
    }
}

choice! {
    /// Which part of a source a node brings.
    PartChoice {
        /// The files of this node: every Nth one of N nodes.
        Node = "node",
    }
}

choice! {
    /// What a path has to be.
    PathKind {
        /// A directory.
        Dir = "dir",
        /// A file.
        File = "file",
    }
}

choice! {
    /// How lines are written.
    #[derive(Default)]
    LogFormat {
        /// For people.
        #[default]
        Text = "text",
        /// One JSON object a line.
        Json = "json",
    }
}

choice! {
    /// How much is told.
    #[derive(Default)]
    LogLevel {
        /// Only what ends the start.
        Error = "error",
        /// Also what may hurt later.
        Warn = "warn",
        /// Everything worth a line.
        #[default]
        Info = "info",
        /// Also every decision, every file looked at and every program run.
        Debug = "debug",
    }
}

choice! {
    /// What has to be the same on all nodes.
    Agreement {
        /// One that cannot start ends all.
        Checks = "checks",
        /// The checkpoint to resume from.
        Resume = "resume",
        /// trainit's version.
        Version = "version",
        /// The code's commit.
        Commit = "commit",
        /// The requirements.
        Requirements = "requirements",
        /// The GPUs.
        Gpus = "gpus",
        /// The clocks.
        Clock = "clock",
    }
}

words!(Level { Presence = "presence", Driver = "driver", Cuda = "cuda", Full = "full", });

choice! {
    /// What an unknown key or variable means.
    #[derive(Default)]
    Unknown {
        /// The start fails, with "did you mean".
        #[default]
        Error = "error",
        /// It is told.
        Warn = "warn",
    }
}

words!(UsageSign {
    Connections = "connections",
    Terminal = "terminal",
    Kernels = "kernels",
    Gpu = "gpu",
    Cpu = "cpu",
});

words!(Scope { Auto = "auto", Main = "main", Group = "group", Tree = "tree", });
words!(OnHang { Log = "log", Restart = "restart", Abort = "abort", });
words!(WorkloadKind { Train = "train", Build = "build", });
