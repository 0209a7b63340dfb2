//! Templates that would end the engine in a browser, by a stack overflow or by memory, or that would never end; and those
//! that come as near as they may.

use super::render_alone;
use tallow::ErrorKind;
use tallow::chat::{MAX_OUTPUT_LEN, MAX_RUN_TIME, MAX_SOURCE_LEN, MAX_STEPS};
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

/// Runs `template` where the stack is half of what wasm has.
fn detail_on_small_stack(template: String) -> Option<String> {
    let run = move || match render_alone(&template) {
        Ok(_) => None,
        Err(error) => {
            assert_eq!(error.kind(), ErrorKind::TemplateError, "{error}");
            Some(error.detail().to_owned())
        }
    };
    #[cfg(target_arch = "wasm32")]
    return run();
    #[cfg(not(target_arch = "wasm32"))]
    std::thread::Builder::new().stack_size(512 * 1024).spawn(run).unwrap().join().unwrap()
}

/// `{{ head head … body tail tail … }}`.
fn nested(head: &str, count: usize, body: &str, tail: &str) -> String {
    format!("{}{body}{}", head.repeat(count), tail.repeat(count))
}

/// Whether an error is of a run that was too long, in steps or in time.
fn names_bound_of_run(detail: &str) -> bool {
    detail.ends_with(&format!("limit of {MAX_STEPS} steps"))
        || detail.ends_with(&format!("limit of {} s", MAX_RUN_TIME.as_secs()))
}

#[test]
fn runs_that_would_not_end_meet_a_limit() {
    let growing = |step: &str| {
        format!(
            "{{% set ns = namespace(x='aaaaaaaaaaaaaaaa') %}}\
             {{% for i in range(100) %}}{{% set ns.x = {step} %}}{{% endfor %}}"
        )
    };
    let forever = "{% for i in range(100000) %}{% for j in range(100000) %}x{% endfor %}{% endfor %}";
    for template in [
        "{% for i in range(10**8) %}x{% endfor %}",
        forever,
        "{{ 'a' * 10**10 }}",
        "{{ 'a' * 10**8 }}",
        "{{ ((0,) * 10**7)|length }}",
        "{{ ([0] * 10**7)|list|length }}",
        "{{ '%1000000000s'|format('x') }}",
        "{{ '{:1000000000}'.format('x') }}",
        "{{ '{:.1000000000f}'.format(1.5) }}",
        "{{ 'x'.ljust(10**9) }}",
        "{{ 'x'|indent(10**9, true) }}",
        "{{ [[1]]|tojson(indent=10**9) }}",
        "{% set x = range(100000)|list %}{{ x|tojson(indent='x' * 60000) }}",
        "{% set x = range(100000)|list %}{{ x|tojson(separators=('x' * 60000, '')) }}",
        "{{ strftime_now('%c' * 1000) }}",
        "{{ ('\\t' * 10**7).expandtabs(64) }}",
        "{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}",
        "{% macro m(x) %}{{ m([x]) ~ m([x]) }}{% endmacro %}{{ m(1) }}",
        "{% for x in [1] recursive %}{{ loop([x]) }}{% endfor %}",
        "{% include 'default' %}",
        &growing("ns.x ~ ns.x"),
        &growing("ns.x + ns.x"),
        &growing("ns.x.replace('a', ns.x)"),
        &growing("ns.x|replace('a', ns.x)"),
        &growing("ns.x.join(ns.x)"),
        &growing("ns.x|indent(ns.x, true)"),
        &growing("[ns.x, ns.x]"),
        "{% set x = 'a' * 1000000 %}{% for i in range(100) %}{{ x }}{% endfor %}",
    ] {
        let detail = detail_on_small_stack(template.to_owned());
        let detail = detail.unwrap_or_else(|| panic!("{template} should meet a limit"));
        let names_limit =
            ["limit", "too many", "at most", "too large"].iter().any(|word| detail.contains(word));
        assert!(names_limit, "{template}: {detail}");
    }
    // On a busy machine its time may be over before its steps are.
    let ending = detail_on_small_stack(forever.to_owned()).expect("a limit");
    assert!(names_bound_of_run(&ending), "{ending}");
    let output =
        detail_on_small_stack("{% set x = 'a' * 1000000 %}{% for i in range(9) %}{{ x }}{% endfor %}".into());
    assert_eq!(
        output.as_deref(),
        Some(&*format!("the chat template exceeds its limit of {MAX_OUTPUT_LEN} bytes of output"))
    );
}

/// Looking at a long text is one step, but takes its time.
#[test]
fn slow_runs_meet_their_deadline() {
    let long = "{% set x = 'a' * 1000000 %}{% set y = 'a' * 1000000 %}";
    for slow in [
        // Each seen at another place: where it prints, decides, assigns, and at a loop's turns alone.
        "{% for i in range(100000) %}{{ '' if x[-i] == y }}{% endfor %}",
        "{% for i in range(100000) if x[-i] == y %}{% endfor %}",
        "{% macro m(i) %}{% set z = x[-i] %}{% endmacro %}{% for i in range(100000) %}{{ m(i) }}{% endfor %}",
        "{% for i in range(100000) %}{% with z = x[-i] %}{% endwith %}{% endfor %}",
    ] {
        let begun = web_time::Instant::now();
        let detail = detail_on_small_stack(format!("{long}{slow}"));
        let detail = detail.unwrap_or_else(|| panic!("{slow} ended by itself after {:?}", begun.elapsed()));
        assert!(names_bound_of_run(&detail), "{slow}: {detail}");
    }
    let many = "{{ ([x] * 1000)|sort|length }}";
    assert_eq!(
        detail_on_small_stack(format!("{long}{many}")).as_deref(),
        Some(&*format!("line 1: the chat template exceeds its limit of {MAX_STEPS} steps"))
    );
}

#[test]
fn sources_that_nest_without_end_meet_a_limit() {
    for template in [
        "a".repeat(MAX_SOURCE_LEN + 1),
        format!("{{{{ {} }}}}", nested("(", 5000, "1", ")")),
        format!("{{{{ {} true }}}}", "not ".repeat(50000)),
        format!("{{{{ {} 1 }}}}", "-".repeat(100_000)),
        format!("{{{{ 1{} }}}}", "+1".repeat(100_000)),
        format!("{{{{ 1{} }}}}", "|e".repeat(100_000)),
        format!("{{{{ x{} }}}}", ".x".repeat(100_000)),
        format!("{{{{ {} 1 }}}}", "1 if 0 else ".repeat(20000)),
        format!("{{% if 0 %}}{}{{% endif %}}", "{% elif 0 %}".repeat(20000)),
        nested("{% if 1 %}", 10000, "", "{% endif %}"),
        format!("{{% set {} = 1 %}}", nested("(", 50000, "a", ")")),
        format!("{{% for {} in [1] %}}{{% endfor %}}", nested("(", 50000, "a", ")")),
        format!("{{% set a{} = 1 %}}", ".b".repeat(5000)),
        format!("{{% set (a{}) = 1 %}}", ".b".repeat(5000)),
        format!("{{% set a{} %}}{{% endset %}}", ".b".repeat(5000)),
        format!("{{% set a, b{} = 1, 2 %}}", ".b".repeat(5000)),
        format!("{{% set x = 1 %}}{}", "{% set x = [x] %}".repeat(10000)),
        "{% set ns = namespace(x=1) %}{% for i in range(90000) %}{% set ns.x = [ns.x] %}{% endfor %}".into(),
        "{% set ns = namespace() %}{% set ns.x = ns %}{{ ns }}".into(),
        "{% set a = namespace() %}{% set b = namespace(a=a) %}{% set a.b = b %}{{ a }}".into(),
        "{% block a %}{{ self.a() }}{% endblock %}".into(),
    ] {
        let head: String = template.chars().take(60).collect();
        assert!(detail_on_small_stack(template).is_some(), "{head} should meet a limit");
    }
}

/// A list may hold one text, or one list, many times over: what is made of it is paid for before it takes memory, and
/// what is compared before it takes time.
#[test]
fn shared_values_are_paid_for_each_time() {
    let begun = web_time::Instant::now();
    let prefix = "{% set t = 'a' * 100000 %}{% set u = [t] * 100000 %}{% set x = [1] * 100000 %}";
    for expression in [
        "u",
        "u|string",
        "u ~ ''",
        "'' ~ u",
        "1 ~ (2 ~ u)",
        "u|e",
        "u|trim",
        "u|indent",
        "u|pprint",
        "u|upper",
        "u|lower",
        "u|title",
        "u|capitalize",
        "u|safe",
        "u|lines",
        "u|split",
        "u|replace('b', 'c')",
        "t|replace('b', u)",
        "t|replace('b', u, 1)",
        "u|join",
        "u|join('')",
        "[1]|join(u)",
        "[{'a': u}, {'a': u}]|join(attribute='a')",
        "u|map('string')|join",
        "[u]|map('upper')|list",
        "','.join(u)",
        "''.join([u])",
        "('{0}' * 100000).format(t)",
        "('{}' * 2).format(u, u)",
        "('{0[0]}' * 100000).format(u[:2])",
        "('{a}' * 100000).format(a=t)",
        "('{:65000}' * 5000).format(*range(5000)|list)",
        "('%(a)s' * 100000)|format(a=t)",
        "('%(a)s' * 100000)|format({'a': t})",
        "'%s'|format(u)",
        "'%(a)s'|format(a=u)",
        "'%(a)s'|format(a={'b': u})",
        "raise_exception(u)",
        "u is startingwith 'a'",
        "'a' is endingwith u",
        "u in t",
        "u|tojson",
        "{'a': u}",
        "{'a': u}.items() ~ ''",
        "{'a': u}.values() ~ ''",
        "(1, u)",
        "u[::-1] ~ '' if u[::-1]|length < 0 else u",
        "[1].index(u)",
        "[x] * 100000 == [x + []] * 100000",
        "[x] * 100000 != [x + []] * 100000",
        "[x] * 100000 < [x + []] * 100000",
        "1 < 2 < 3 == ([x] * 100000)",
        "[x + []] in [x] * 100000",
        "([x] * 100000) not in 'a'",
        "([x] * 100000) is eq([x + []] * 100000)",
        "([x] * 100000) is in([x + []])",
        "[[x] * 100000]|select('eq', [x + []] * 100000)|list",
        "(([x] * 100000)|list).count(x + [])",
        "(([x] * 100000)|list).index(x + [])",
        "([x] * 100000)|sort",
        "([x] * 100000)|unique",
        "([x] * 100000)|max",
        "([x] * 100000)|min",
        "([{'a': x}] * 100000)|groupby('a')",
        "([{'a': x}] * 100000)|groupby(attribute='a')",
        "{([x] * 100000): 1}",
        "{'a': 1, 'b': 2}[[x] * 100000]",
        "{'a': 1, 'b': 2}.get([x] * 100000)",
        "{'a': 1, 'b': 2}|attr([x] * 100000)",
        "([x] * 100000)|sum(start=[])",
        "([(1,) * 1000] * 10000)|sum(start=())",
        "loop.changed([x] * 100000)",
        "namespace(u=u)",
    ] {
        let template = format!("{prefix}{{% for i in [1] %}}{{{{ {expression} }}}}{{% endfor %}}");
        let detail = detail_on_small_stack(template);
        let detail = detail.unwrap_or_else(|| panic!("{expression} should meet a limit"));
        assert!(names_bound_of_run(&detail), "{expression}: {detail}");
    }
    // A step takes nanoseconds, whatever it looks at.
    let time = begun.elapsed();
    assert!(time < MAX_RUN_TIME * 20, "{time:?}");
}

/// What the bounds are looked for in is what minijinja reads, whatever text, comments and raw text say.
#[test]
fn bounds_hold_behind_raw_text_and_comments() {
    let sum = format!("{{{{ 1{} }}}}", "+1".repeat(30000));
    for before in [
        "",
        "{% raw %} endraw {# {% endraw %}",
        "{% raw %}{% endraw x %}{# {% endraw %}",
        "{% raw %}{%- endraw{# {%-endraw+%}",
        "{%- raw +%}{{ '{%\tendraw\n-%}",
        "{%raw%}{% {% endraw %}",
        "{#}{% raw %}#}",
        "{#-#}",
    ] {
        let detail = detail_on_small_stack(format!("{before}{sum}"));
        let names_limit =
            detail.as_ref().is_some_and(|detail| detail.contains("operators that hang on each other"));
        assert!(names_limit, "{before}: {detail:?}");
    }
    // Tags in raw text and comments are no blocks.
    let open = "{% if 1 %}".repeat(100);
    for skipped in [format!("{{% raw %}}{open}{{% endraw %}}"), format!("{{#}}{open}#}}")] {
        assert_eq!(detail_on_small_stack(skipped.clone()), None, "{skipped}");
    }
    assert_eq!(render_alone("{% raw %} endraw {# {% endraw %}{{ 1 }}").unwrap(), " endraw {# 1");
}

/// Nesting at the very limits, all at once, runs in half a wasm stack.
#[test]
fn sources_at_the_limits_run() {
    let brackets = nested("[", 10, "x", "]");
    for template in [
        format!("{{{{ {} }}}}", nested("(", 11, "1", ")")),
        format!("{{{{ {} true }}}}", "not ".repeat(390)),
        format!("{{{{ {} }}}}", nested("(1 ~ 2 == ", 11, "1", ")")),
        format!("{{{{ {} }}}}", nested("['a'|safe + 1 ~ ", 11, "1", "]")),
        nested("{% if 1 %}", 38, &format!("{{{{ {} }}}}", nested("{1 ~ 2: 3 in [4], 5: ", 11, "1", "}")), "{% endif %}"),
        format!("{{{{ {} }}}}", vec!["1"; 190].join(" ~ ")),
        format!("{{{{ {} }}}}", vec!["1"; 190].join(" == ")),
        format!("{{{{ 1{} }}}}", "+1".repeat(190)),
        format!("{{% if 0 %}}{{% set a{} = 1 %}}{{% endif %}}", ".b".repeat(190)),
        format!("{{% if 0 %}}{}{{% endif %}}", "{% elif 0 %}".repeat(39)),
        nested("{% for x in [1] %}", 39, "{{ x }}", "{% endfor %}"),
        format!("{{% set x = 1 %}}{}", nested(&format!("{{% with x = {brackets} %}}"), 39, "{{ x }}", "{% endwith %}")),
        "{% set ns = namespace(x=[1]) %}{% for i in range(9000) %}{% set ns.x = ns.x[:] %}{% endfor %}{{ ns.x }}".into(),
    ] {
        assert_eq!(detail_on_small_stack(template.clone()), None, "{template}");
    }
}
