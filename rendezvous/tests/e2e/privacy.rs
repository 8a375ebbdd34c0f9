//! Other users of the computer cannot read our files, whatever the umask and the mode of the folder are.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::harness::{PATIENCE, Program, Realm, Signal, Start};

/// The program under a umask that removes no permission.
fn without_umask(command: &Command) -> Command {
    let mut shell = Command::new("sh");
    shell.args(["-c", "umask 000; exec \"$0\" \"$@\""]);
    shell.arg(command.get_program()).args(command.get_args()).env_remove("RUST_LOG");
    shell
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

/// Checks that the files that must be private are, and returns their names.
fn private_files(folder: &Path) -> Vec<String> {
    assert_eq!(mode(folder), 0o700, "{}", folder.display());
    let mut names = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        if name.contains(".db") || name.ends_with(".key") || name == "identity" {
            assert_eq!(mode(&path), 0o600, "{name}");
            names.push(name);
        }
    }
    names.sort();
    names
}

fn open_everything(folder: &Path) {
    fs::set_permissions(folder, Permissions::from_mode(0o755)).unwrap();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.to_str().unwrap().contains(".db") {
            fs::set_permissions(path, Permissions::from_mode(0o644)).unwrap();
        }
    }
}

fn serve(realm: &Realm) -> Program {
    let serve = realm.serve_command(&["--listen", "127.0.0.1:0"]);
    let mut program = Program::spawn("rendezvous", without_umask(&serve), &realm.logs());
    program.expect("that it listens", PATIENCE, |line| line["event"] == "listening");
    program
}

#[test]
fn a_login_nodes_files_are_private_whatever_the_umask() {
    let realm = Realm::fresh();
    let folder = realm.data_dir();
    assert_eq!(mode(&folder), 0o755, "the operator created it");
    let serving = serve(&realm);
    assert!(serving.log().contains("open to other users"), "{}", serving.log());
    let names = private_files(&folder);
    for name in ["rendezvous.db", "rendezvous.db-wal", "member.db", "realm.key", "member.key"] {
        assert!(names.iter().any(|found| found == name), "{names:?}");
    }
    let copy = realm.logs().join("copy.db");
    let mut backup = without_umask(&realm.command(&["backup", copy.to_str().unwrap()]));
    assert!(backup.stdout(Stdio::null()).status().unwrap().success());
    assert_eq!(mode(&copy), 0o600);

    // As an older version has left the files, with a log beside the database.
    drop(serving);
    open_everything(&folder);
    let serving = serve(&realm);
    assert!(serving.log().contains("could read this file"), "{}", serving.log());
    private_files(&folder);
}

#[test]
fn a_peers_files_are_private_whatever_the_umask() {
    let realm = Realm::with(&["ada"]);
    let folder = realm.profile("ada");
    fs::create_dir_all(&folder).unwrap();
    fs::set_permissions(&folder, Permissions::from_mode(0o755)).unwrap();
    let start = || {
        let command = without_umask(&realm.node_command());
        Start::new(command, "ada", realm.link(), folder.clone(), realm.logs())
    };
    let mut ada = start().ready();
    ada.send("For members only.");
    assert!(ada.log().contains("open to other users"), "{}", ada.log());
    let names = private_files(&folder);
    assert!(["chat.db", "chat.db-wal", "identity"].iter().all(|n| names.iter().any(|f| f == n)));
    ada.kill();
    open_everything(&folder);
    let mut ada = start().ready();
    ada.send("Still.");
    private_files(&folder);
    ada.quit();
}

#[test]
fn a_folder_with_files_of_others_is_refused_and_left_alone() {
    let mut realm = Realm::with(&["ada"]);
    let folder = realm.profile("ada");
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join("letter.txt"), "Dear aunt").unwrap();
    fs::set_permissions(&folder, Permissions::from_mode(0o755)).unwrap();
    let refused = realm.peer("ada").refused();
    assert_eq!(refused["code"], "profile-unsafe");
    assert!(refused["reason"].as_str().unwrap().contains("chmod 700"), "{refused}");
    assert_eq!((mode(&folder), fs::read_dir(&folder).unwrap().count()), (0o755, 1));
    assert_eq!(realm.stop(Signal::TERM).code(), Some(0));
}
