//! The arguments of a call, bound as Python binds them: each by position or by name.

use minijinja::value::{Kwargs, from_args};
use minijinja::{Error, ErrorKind, Value};

/// What `args` gives for each of `names`, `None` where it gives nothing.
///
/// # Errors
/// More arguments than names, an argument that is not among them, or one that is given twice.
pub(super) fn bind<const N: usize>(args: &[Value], names: [&str; N]) -> Result<[Option<Value>; N], Error> {
    let (positional, kwargs) = match args.split_last() {
        Some((last, positional)) if last.is_kwargs() => {
            (positional, from_args::<(Kwargs,)>(std::slice::from_ref(last))?.0)
        }
        _ => (args, Kwargs::from_iter(std::iter::empty::<(&str, Value)>())),
    };
    if positional.len() > N {
        return Err(invalid(format!("expected at most {N} arguments, got {}", positional.len())));
    }
    for name in kwargs.args() {
        match names.iter().position(|known| *known == name) {
            Some(index) if index >= positional.len() => {}
            Some(_) => return Err(invalid(format!("the argument `{name}` is given twice"))),
            None => return Err(invalid(format!("there is no argument `{name}`"))),
        }
    }
    let mut bound = [const { None }; N];
    for (index, (slot, name)) in bound.iter_mut().zip(names).enumerate() {
        *slot = match positional.get(index) {
            Some(value) => Some(value.clone()),
            None if kwargs.has(name) => Some(kwargs.peek(name)?),
            None => None,
        };
    }
    Ok(bound)
}

/// Whether an optional flag is set.
pub(super) fn flag(argument: Option<Value>) -> bool {
    argument.is_some_and(|value| value.is_true())
}

/// The text of an optional argument, for which `none` is the same as nothing.
pub(super) fn text<'v>(name: &str, argument: &'v Option<Value>) -> Result<Option<&'v str>, Error> {
    match argument {
        Some(value) if !value.is_none() => match value.as_str() {
            Some(text) => Ok(Some(text)),
            None => Err(invalid(format!("`{name}` should be a string, but is a {}", value.kind()))),
        },
        _ => Ok(None),
    }
}

/// An error of the template's, as minijinja reports it.
pub(super) fn invalid(detail: impl Into<String>) -> Error {
    Error::new(ErrorKind::InvalidOperation, detail.into())
}
