//! Reading and writing CSV (RFC 4180).

/// The rows with the number of the line that each begins in. Fields in quotes may hold commas, newlines and, doubled,
/// quotes. Empty lines are read past.
///
/// # Errors
/// When a quote is never closed, or stands in or behind a field: the number of the line that the row begins in.
pub(crate) fn read(text: &str) -> Result<Vec<(usize, Vec<String>)>, usize> {
    let mut rows = Vec::new();
    let mut rest = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut line = 1;
    while !rest.is_empty() {
        let (row, after) = row(rest).ok_or(line)?;
        if row != [""] {
            rows.push((line, row));
        }
        line += rest[..rest.len() - after.len()].matches('\n').count();
        rest = after;
    }
    Ok(rows)
}

/// The first row and what is behind it.
fn row(mut rest: &str) -> Option<(Vec<String>, &str)> {
    let mut fields = Vec::new();
    loop {
        let (field, after) = match rest.strip_prefix('"') {
            Some(quoted) => quoted_field(quoted)?,
            None => {
                let end = rest.find([',', '\n']).unwrap_or(rest.len());
                let field =
                    if rest[end..].starts_with(',') { &rest[..end] } else { rest[..end].trim_end_matches('\r') };
                if field.contains('"') {
                    return None;
                }
                (field.to_owned(), &rest[end..])
            }
        };
        fields.push(field);
        if let Some(more) = after.strip_prefix(',') {
            rest = more;
        } else if after.is_empty() {
            return Some((fields, after));
        } else {
            return Some((fields, after.strip_prefix("\r\n").or_else(|| after.strip_prefix('\n'))?));
        }
    }
}

/// A field up to its closing quote, and what is behind that.
fn quoted_field(mut rest: &str) -> Option<(String, &str)> {
    let mut field = String::new();
    loop {
        let (piece, after) = rest.split_once('"')?;
        field.push_str(piece);
        match after.strip_prefix('"') {
            Some(_) => field.push('"'),
            None => return Some((field, after)),
        }
        rest = &after[1..];
    }
}

/// A row without a newline at its end. Fields are put in quotes where they hold what would end them.
///
/// A spreadsheet takes a field that begins like a formula for one, and what strangers sent may stand in fields: an
/// apostrophe goes before it.
pub(crate) fn row_of(fields: &[String]) -> String {
    let field = |field: &String| {
        let formula = if field.starts_with(['=', '+', '-', '@', '\t', '\r']) { "'" } else { "" };
        if field.contains([',', '"', '\n', '\r']) {
            format!("\"{formula}{}\"", field.replace('"', "\"\""))
        } else {
            format!("{formula}{field}")
        }
    };
    fields.iter().map(field).collect::<Vec<_>>().join(",")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: &[(usize, &[&str])]) {
        let rows = read(text).unwrap();
        let rows: Vec<(usize, Vec<&str>)> =
            rows.iter().map(|(line, row)| (*line, row.iter().map(String::as_str).collect())).collect();
        let expected: Vec<(usize, Vec<&str>)> = expected.iter().map(|(line, row)| (*line, row.to_vec())).collect();
        assert_eq!(rows, expected, "{text:?}");
    }

    #[test]
    fn fields_end_at_commas_and_rows_at_newlines() {
        check("", &[]);
        check("a,b\r\nc,\n", &[(1, &["a", "b"]), (2, &["c", ""])]);
        check("\u{feff}a\n\nb", &[(1, &["a"]), (3, &["b"])]);
    }

    #[test]
    fn what_is_in_quotes_is_kept() {
        check("\"a,\"\"b\"\"\",\"c\nd\"\ne,f\n", &[(1, &["a,\"b\"", "c\nd"]), (3, &["e", "f"])]);
    }

    #[test]
    fn what_is_written_is_read_and_no_spreadsheet_takes_it_for_a_formula() {
        let fields = ["a", "b,c", "\"d\"", "e\nf", ""].map(str::to_owned);
        assert_eq!(read(&row_of(&fields)), Ok(vec![(1, fields.to_vec())]));
        assert_eq!(row_of(&["=1+1".to_owned(), "-x,y".to_owned()]), "'=1+1,\"'-x,y\"");
    }

    #[test]
    fn a_quote_out_of_place_is_told_with_its_line() {
        assert_eq!(read("a\n\"b"), Err(2));
        assert_eq!(read("a\n\"b\"c"), Err(2));
        assert_eq!(read("a\"b"), Err(1));
    }
}
