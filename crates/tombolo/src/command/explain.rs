use std::time::Duration;

use clap::Args;
use clap::builder::{PossibleValuesParser, TypedValueParser};
use tombolo_connector::{Error, ErrorCode, Result};
use tombolo_engine::QueryOptions;

use super::cartesian::{CartesianArgs, tell_change};
use super::query::{query_options, read_stdin};
use super::{App, duration_argument};
use crate::output;
use crate::render::{self, PlanFormat};

/// Show how a query runs: the steps, what each source is asked, what it is not given and why
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  tombolo explain \"SELECT city, count(*) FROM shop.customers GROUP BY city\"
  tombolo explain --analyze \"SELECT * FROM shop.customers c JOIN orders.orders o ON o.customer_id = c.id\"
  tombolo explain --format dot \"SELECT 1\" | dot -Tsvg > plan.svg")]
pub(crate) struct ExplainArgs {
    /// The statement; `-` reads it from stdin
    #[arg(value_name = "SQL")]
    statement: String,
    /// Run the query, and add rows, bytes and times
    #[arg(long)]
    analyze: bool,
    /// The form of the plan
    #[arg(long, default_value = "text", value_name = "FORMAT", value_parser = format_argument())]
    format: PlanFormat,
    /// Give up after this long, such as 10s [default: federation.max_query_time]
    #[arg(long, value_name = "TIME", value_parser = duration_argument)]
    timeout: Option<Duration>,
    #[command(flatten)]
    cartesian: CartesianArgs,
}

impl ExplainArgs {
    pub(crate) async fn run(self, app: &App) -> Result<u8> {
        let text = if self.statement == "-" { read_stdin()? } else { self.statement };
        let config = app.config()?;
        let engine = app.engine(&config)?;
        let statements = engine.split_statements(&text)?;
        let [statement] = statements.as_slice() else {
            return Err(Error::new(ErrorCode::Usage, format!("explain takes one statement, not {}", statements.len()))
                .with_hint("Explain them one by one."));
        };
        let options = self.cartesian.apply(QueryOptions { timeout: self.timeout, ..query_options() });
        let (explanation, _) = engine.explain(statement, self.analyze, options).await?;
        tell_change(app, explanation.change.as_ref());
        output::with_stdout(|out| render::write_explanation(&explanation, self.format, app.stdout, out))?;
        Ok(0)
    }
}

fn format_argument() -> impl TypedValueParser<Value = PlanFormat> {
    PossibleValuesParser::new(PlanFormat::ALL.map(PlanFormat::name)).try_map(|name| name.parse::<PlanFormat>())
}
