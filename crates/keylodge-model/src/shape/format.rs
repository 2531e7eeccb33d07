//! Formats of strings: for each that is known, GBNF of some of its strings. Dates that are not in the calendar are not.

/// GBNF of strings of this format, without the quotes.
pub(super) fn gbnf(format: &str) -> Option<String> {
    let date = || {
        let leap = r#"([12] [0-9] ("0" [48] | [2468] [048] | [13579] [26]) | ("12" | "16" | "20" | "24" | "28") "00")"#;
        let days = r#"("0" [1-9] | [12] [0-9]"#;
        let (long, short) = (r#"("0" [13578] | "1" [02])"#, r#"("0" [469] | "11")"#);
        let (in_long, in_short) = (format!(r#"{days} | "3" [01])"#), format!(r#"{days} | "30")"#));
        format!(
            r#"([12] [0-9]{{3}} "-" ({long} "-" {in_long} | {short} "-" {in_short} | "02-" ("0" [1-9] | "1" [0-9] | "2" [0-8])) | {leap} "-02-29")"#
        )
    };
    let time = r#"([01] [0-9] | "2" [0-3]) ":" [0-5] [0-9] ":" [0-5] [0-9] ("." [0-9]{1,6})? ("Z" | [-+] ([01] [0-9] | "2" [0-3]) ":" [0-5] [0-9])"#;
    let hex = "[0-9a-fA-F]";
    let label = r#"[a-z0-9]{1,20} ("-" [a-z0-9]{1,20})?"#;
    let host = format!(r#"{label} ("." {label}){{0,4}} "." [a-z]{{2,10}}"#);
    let byte = r#"("25" [0-5] | "2" [0-4] [0-9] | "1" [0-9]{2} | [1-9] [0-9] | [0-9])"#;
    Some(match format {
        "date" => date(),
        "time" => time.to_owned(),
        "date-time" => format!(r#"{} "T" {time}"#, date()),
        "duration" => {
            let days = r#"[0-9]{1,4} "D""#;
            let times = r#"[0-9]{1,4} "H" ([0-9]{1,4} "M" ([0-9]{1,4} "S")?)? | [0-9]{1,4} "M" ([0-9]{1,4} "S")? | [0-9]{1,4} "S""#;
            format!(r#""P" ({days} ("T" ({times}))? | "T" ({times}))"#)
        }
        "uuid" => format!(r#"{hex}{{8}} "-" {hex}{{4}} "-" {hex}{{4}} "-" {hex}{{4}} "-" {hex}{{12}}"#),
        "hostname" => host,
        "email" => format!(r#"[a-z0-9]{{1,20}} ([-._+] [a-z0-9]{{1,20}}){{0,2}} "@" {host}"#),
        "uri" => format!(r#"("https" | "http") "://" {host} ("/" [-._~a-zA-Z0-9]{{0,40}}){{0,6}}"#),
        "ipv4" => format!(r#"{byte} "." {byte} "." {byte} "." {byte}"#),
        "ipv6" => format!(r#"{hex}{{1,4}} (":" {hex}{{1,4}}){{7}}"#),
        _ => return None,
    })
}
