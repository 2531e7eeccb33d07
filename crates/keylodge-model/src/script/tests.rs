use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::*;
use crate::{Event, Sampling, Turn};

fn asking(text: &str) -> Generate {
    Generate {
        model: "gemini-2.5-flash".to_owned(),
        prompt: Prompt { system: None, turns: vec![Turn { role: Role::User, text: text.to_owned() }] },
        sampling: Sampling::default(),
        output_tokens_max: 1000,
        stop: vec![],
        grammar: None,
    }
}

fn script(text: &str) -> Arc<Script> {
    Arc::new(Script::parse(text).expect("a good script"))
}

/// Plays to the end: the pieces, and how it ended.
async fn play(script: &Arc<Script>, request: &Generate) -> (Vec<String>, Result<(Finish, u64), ModelError>) {
    let mut generation = match script.play(request) {
        Ok(generation) => generation,
        Err(error) => return (vec![], Err(error)),
    };
    let mut pieces = Vec::new();
    loop {
        match generation.next().await.expect("an end before the stream is over") {
            Ok(Event::Piece { text, .. }) => pieces.push(text),
            Ok(Event::Finished { reason, output_tokens }) => {
                assert_eq!(generation.next().await, None);
                return (pieces, Ok((reason, output_tokens)));
            }
            Err(error) => {
                assert_eq!(generation.next().await, None);
                return (pieces, Err(error));
            }
        }
    }
}

async fn answer(script: &Arc<Script>, request: &Generate) -> String {
    play(script, request).await.0.concat()
}

#[test]
fn every_mistake_of_a_script_is_named_with_its_reply_and_field() {
    let error = Script::parse(
        r#"
        colour = "red"
        [[reply]]
        model = "gem*ini*"
        delay_ms = 60001
        [[reply]]
        text = "a"
        tokens = ["b"]
        finish = "MAYBE"
        fail_after = 1
        [[reply]]
        text = 3
        status = 200
        txet = "a"
        "#,
    )
    .expect_err("a bad script");

    let places: Vec<_> =
        error.mistakes.iter().map(|mistake| (mistake.reply, mistake.field.as_deref().unwrap_or(""))).collect();
    assert_eq!(
        places,
        [
            (None, "colour"),
            (Some(1), "model"),
            (Some(1), "text"),
            (Some(1), "delay_ms"),
            (Some(2), "fail_after"),
            (Some(2), "tokens"),
            (Some(2), "finish"),
            (Some(3), "txet"),
            (Some(3), "status"),
            (Some(3), "text"),
        ]
    );
    assert!(error.to_string().contains("reply 1: `delay_ms` must be a whole number from 0 to 60000"));
}

#[test]
fn a_file_that_is_not_toml_is_refused_with_its_line() {
    let error = Script::parse("[[reply]]\ntext = ").expect_err("not TOML");

    assert!(error.to_string().contains("line 2"), "{error}");
}

#[tokio::test]
async fn the_first_reply_that_matches_answers() {
    let script = script(
        r#"
        [[reply]]
        model = "gemini-1.5-*"
        text = "old"
        [[reply]]
        contains = "WEATHER"
        text = "sunny"
        [[reply]]
        model = "gemini-2.5-flash"
        text = "else"
        "#,
    );

    assert_eq!(answer(&script, &asking("How is the weather?")).await, "sunny");
    assert_eq!(answer(&script, &asking("How are you?")).await, "else");
    let old = Generate { model: "gemini-1.5-pro".to_owned(), ..asking("How is the weather?") };
    assert_eq!(answer(&script, &old).await, "old");
}

#[tokio::test]
async fn without_a_matching_reply_the_built_in_one_answers_the_same_each_time() {
    let script = Arc::new(Script::default());
    let request = asking("Write a story about a magic backpack.");

    let (pieces, end) = play(&script, &request).await;

    assert!(pieces.concat().contains("Write a story about a magic backpack."));
    assert_eq!(end, Ok((Finish::Stop, pieces.len() as u64)));
    assert_eq!(play(&script, &request).await.0, pieces);
}

#[tokio::test]
async fn given_tokens_are_streamed_one_by_one() {
    let script = script("[[reply]]\ntokens = ['Sun', 'ny', '.']\nprompt_tokens = 7\nfinish = 'MAX_TOKENS'");

    assert_eq!(script.play(&asking("a b c")).expect("it plays").prompt_tokens, 7);
    assert_eq!(script.count("any", &asking("a b c").prompt), 7);
    let (pieces, end) = play(&script, &asking("x")).await;
    assert_eq!(pieces, ["Sun", "ny", "."]);
    assert_eq!(end, Ok((Finish::MaxTokens, 3)));
}

#[tokio::test]
async fn an_answer_ends_before_a_stop_sequence() {
    let script = script("[[reply]]\ntext = 'one two three four'");
    let request = Generate { stop: vec!["o three".to_owned()], ..asking("x") };

    let (pieces, end) = play(&script, &request).await;

    assert_eq!(pieces.concat(), "one tw");
    assert_eq!(end, Ok((Finish::Stop, 3)));
}

#[tokio::test]
async fn an_answer_ends_at_its_cap_with_everything_it_held_back() {
    let script = script("[[reply]]\ntext = 'one two three four'");
    let request = Generate { output_tokens_max: 2, stop: vec!["o thirty".to_owned()], ..asking("x") };

    let (pieces, end) = play(&script, &request).await;

    assert_eq!(pieces.concat(), "one two");
    assert_eq!(end, Ok((Finish::MaxTokens, 2)));
}

#[tokio::test]
async fn an_answer_as_long_as_its_cap_is_whole() {
    let script = script("[[reply]]\ntext = 'one two'");

    let (_, end) = play(&script, &Generate { output_tokens_max: 2, ..asking("x") }).await;

    assert_eq!(end, Ok((Finish::Stop, 2)));
}

#[tokio::test]
async fn a_fault_comes_before_any_text_or_after_some() {
    let script = script(
        r#"
        [[reply]]
        contains = "early"
        status = 503
        message = "overloaded"
        [[reply]]
        contains = "late"
        text = "one two three"
        status = 500
        fail_after = 2
        "#,
    );

    let early = ModelError::Scripted { status: 503, message: Some("overloaded".to_owned()) };
    assert_eq!(play(&script, &asking("early")).await, (vec![], Err(early)));

    let late = ModelError::Scripted { status: 500, message: None };
    assert_eq!(play(&script, &asking("late")).await, (vec!["one".to_owned(), " two".to_owned()], Err(late)));
}

#[tokio::test(start_paused = true)]
async fn a_delay_is_waited_before_each_piece() {
    let script = script("[[reply]]\ntext = 'one two'\ndelay_ms = 60000");
    let start = Instant::now();

    let (pieces, _) = play(&script, &asking("x")).await;

    assert_eq!(pieces.len(), 2);
    assert_eq!(start.elapsed().as_secs(), Duration::from_secs(120).as_secs());
}

#[tokio::test]
async fn a_generation_counts_as_running_until_it_is_dropped() {
    let script = Arc::new(Script::default());

    let generation = script.play(&asking("x"));
    assert_eq!(script.running(), 1);

    drop(generation);
    assert_eq!(script.running(), 0);
}
