//! What the names of columns and tables say of each other.

use arrow::datatypes::DataType;

/// The last words of columns that are keys.
const KEY_WORDS: &[&str] =
    &["id", "uuid", "guid", "key", "code", "no", "nr", "number", "ref", "sku", "email", "isbn", "iban"];

/// Names that many tables have for things that have nothing to do with each other.
const GENERIC: &[&str] = &[
    "active",
    "address",
    "amount",
    "at",
    "body",
    "category",
    "city",
    "code",
    "color",
    "comment",
    "content",
    "count",
    "country",
    "created",
    "created_at",
    "created_by",
    "created_on",
    "currency",
    "data",
    "date",
    "day",
    "deleted",
    "deleted_at",
    "description",
    "discount",
    "enabled",
    "end",
    "end_date",
    "first_name",
    "flag",
    "guid",
    "id",
    "_id",
    "index",
    "key",
    "kind",
    "label",
    "last_name",
    "lat",
    "level",
    "lon",
    "message",
    "modified",
    "modified_at",
    "month",
    "name",
    "no",
    "note",
    "notes",
    "nr",
    "number",
    "order",
    "payload",
    "phone",
    "position",
    "price",
    "priority",
    "quantity",
    "rank",
    "ref",
    "region",
    "row",
    "row_id",
    "rowid",
    "score",
    "size",
    "sort",
    "start",
    "start_date",
    "state",
    "status",
    "subject",
    "sum",
    "tag",
    "tags",
    "text",
    "time",
    "timestamp",
    "title",
    "total",
    "type",
    "unit",
    "updated",
    "updated_at",
    "updated_by",
    "updated_on",
    "url",
    "uuid",
    "value",
    "version",
    "weight",
    "width",
    "year",
    "zip",
];

/// Kinds of values that are compared as they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Family {
    Integer,
    Text,
    Bytes,
}

/// The kind of a type that keys are of; others are no keys.
pub(super) fn family(data_type: &DataType) -> Option<Family> {
    match data_type {
        data_type if data_type.is_integer() => Some(Family::Integer),
        DataType::Decimal128(_, 0) | DataType::Decimal256(_, 0) => Some(Family::Integer),
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => Some(Family::Text),
        DataType::Binary | DataType::LargeBinary | DataType::BinaryView | DataType::FixedSizeBinary(_) => {
            Some(Family::Bytes)
        }
        DataType::Dictionary(_, values) => family(values),
        _ => None,
    }
}

/// How two types are compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Comparison {
    AsTheyAre,
    /// Numbers that one side keeps as text.
    Converted,
}

pub(super) fn comparison(left: &DataType, right: &DataType) -> Option<Comparison> {
    match (family(left)?, family(right)?) {
        (left, right) if left == right => Some(Comparison::AsTheyAre),
        (Family::Integer, Family::Text) | (Family::Text, Family::Integer) => Some(Comparison::Converted),
        _ => None,
    }
}

/// The words of a name in lower case: `customerId`, `Customer-ID` and `customer_id` have the same.
fn words(name: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut before = ' ';
    for c in name.chars() {
        let begins = c.is_uppercase() && before.is_lowercase();
        if !c.is_alphanumeric() || begins {
            words.push(String::new());
        }
        if c.is_alphanumeric()
            && let Some(word) = words.last_mut()
        {
            word.extend(c.to_lowercase());
        }
        before = c;
    }
    words.retain(|word| !word.is_empty());
    words
}

/// Whether two names are one, whatever their case and how their words are parted.
pub(super) fn same(left: &str, right: &str) -> bool {
    words(left).concat() == words(right).concat()
}

/// Whether a name is one that says nothing of what it names.
pub(super) fn is_generic(name: &str) -> bool {
    let folded = words(name).join("_");
    name.len() < 2 || GENERIC.contains(&folded.as_str()) || GENERIC.contains(&name)
}

/// Whether a name looks like a key's.
pub(super) fn is_key_like(name: &str) -> bool {
    words(name).last().is_some_and(|last| {
        KEY_WORDS.contains(&last.as_str()) || ["id", "uuid"].iter().any(|word| last.len() > 4 && last.ends_with(word))
    })
}

/// How well a column's name says that it refers to a column of a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Reference {
    /// By the table's whole name: `user_id` and `users.id`.
    Whole,
    /// By its last word: `user_id` and `shop_users.id`.
    LastWord,
}

/// Whether a column's name says that it refers to `key` of a table of this name.
pub(super) fn refers(column: &str, table: &str, key: &str, key_is_primary: bool) -> Option<Reference> {
    let (column, table, key) = (words(column).concat(), words(table), words(key).concat());
    let (last, before) = table.split_last()?;
    let forms = [last.clone(), singular(last)];
    let whole = forms.iter().map(|form| before.concat() + form);
    let says = |stem: &String| {
        column.strip_prefix(stem.as_str()).is_some_and(|rest| {
            // The name of the table alone, or with `id`, is its primary key whatever that is called.
            let is_primary = key_is_primary && (rest.is_empty() || ["id", "key"].contains(&rest));
            is_primary || (rest == key && KEY_WORDS.contains(&rest))
        })
    };
    if whole.into_iter().any(|stem| says(&stem)) {
        return Some(Reference::Whole);
    }
    let by_last_word = !before.is_empty() && forms.iter().any(says);
    by_last_word.then_some(Reference::LastWord)
}

/// A word in the singular, by the rules that most English words keep.
fn singular(word: &str) -> String {
    for (many, one) in [("people", "person"), ("children", "child"), ("men", "man"), ("women", "woman")] {
        if word == many {
            return one.to_owned();
        }
    }
    if let Some(stem) = word.strip_suffix("ies").filter(|stem| stem.len() > 1) {
        return format!("{stem}y");
    }
    for ending in ["sses", "shes", "ches", "xes", "zes"] {
        if word.ends_with(ending) {
            return word[..word.len() - 2].to_owned();
        }
    }
    let keeps = ["ss", "us", "is"].iter().any(|ending| word.ends_with(ending));
    word.strip_suffix('s').filter(|_| !keeps && word.len() > 2).unwrap_or(word).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_column_refers_to_a_table_by_its_name() {
        for (column, table, key) in [
            ("user_id", "users", "id"),
            ("customerId", "customers", "id"),
            ("company_id", "companies", "id"),
            ("address_uuid", "addresses", "uuid"),
            ("person_id", "people", "id"),
            ("box_code", "boxes", "code"),
            ("status_id", "status", "id"),
            ("order_item_id", "order_items", "id"),
        ] {
            assert_eq!(refers(column, table, key, false), Some(Reference::Whole), "{column} {table}.{key}");
        }
        assert_eq!(refers("user_id", "shop_users", "id", false), Some(Reference::LastWord));
        assert_eq!(refers("user_id", "users", "uid", true), Some(Reference::Whole));
        assert_eq!(refers("user", "users", "id", true), Some(Reference::Whole));
        for (column, table, key) in [
            ("user_id", "orders", "id"),
            ("user_name", "users", "name"),
            ("id", "users", "id"),
            ("users", "users", "id"),
        ] {
            assert_eq!(refers(column, table, key, false), None, "{column} {table}.{key}");
        }
    }

    #[test]
    fn names_are_the_same_whatever_their_case() {
        assert!(same("customerId", "customer_id") && same("CUSTOMER-ID", "customer_id"));
        assert!(!same("customer_id", "customer"));
    }

    #[test]
    fn generic_names_say_nothing() {
        assert!(["id", "_id", "ID", "Name", "created_at", "createdAt", "x"].iter().all(|name| is_generic(name)));
        assert!(!["user_id", "sku", "email", "isbn"].iter().any(|name| is_generic(name)));
        assert!(is_key_like("user_id") && is_key_like("userid") && is_key_like("order_no") && !is_key_like("paid"));
    }
}
