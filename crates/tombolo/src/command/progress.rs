use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use tombolo_engine::QueryMonitor;

use super::App;
use crate::render::number;

/// A query that is done by then shows no bars, which would only flicker.
const SHOWN_AFTER: Duration = Duration::from_millis(400);
const REFRESH: Duration = Duration::from_millis(100);

/// A line for each sub-query on the terminal's stderr, while rows are waited for. Gone before any output.
pub(crate) struct Progress {
    shared: Option<Arc<Mutex<Bars>>>,
}

struct Bars {
    started: Instant,
    monitor: Option<QueryMonitor>,
    drawn: MultiProgress,
    bars: Vec<ProgressBar>,
    cleared: bool,
}

impl Progress {
    /// Bars on stderr, where a person looks at it and no log lines go there.
    pub(crate) fn new(app: &App) -> Self {
        let shared = (app.stderr.interactive && !app.verbose).then(|| {
            Arc::new(Mutex::new(Bars {
                started: Instant::now(),
                monitor: None,
                drawn: MultiProgress::with_draw_target(ProgressDrawTarget::stderr()),
                bars: Vec::new(),
                cleared: false,
            }))
        });
        Self { shared }
    }

    /// Says which query to show.
    pub(crate) fn watch(&self, monitor: QueryMonitor) {
        self.with(|bars| bars.monitor = Some(monitor));
    }

    /// Waits for `work`, and shows how the query goes meanwhile. The work is polled to its end and never dropped between.
    pub(crate) async fn show_while<T>(&self, work: impl Future<Output = T>) -> T {
        if self.shared.is_none() {
            return work.await;
        }
        tokio::pin!(work);
        loop {
            tokio::select! {
                biased;
                done = &mut work => return done,
                () = tokio::time::sleep(REFRESH) => self.with(Bars::refresh),
            }
        }
    }

    /// Removes the bars for good.
    pub(crate) fn clear(&self) {
        self.with(Bars::clear);
    }

    /// Something that removes the bars for good, for whoever writes first.
    pub(crate) fn clearer(&self) -> impl FnOnce() + Send + 'static {
        let shared = self.shared.clone();
        move || Self { shared }.clear()
    }

    fn with(&self, act: impl FnOnce(&mut Bars)) {
        if let Some(shared) = &self.shared {
            act(&mut shared.lock().unwrap_or_else(PoisonError::into_inner));
        }
    }
}

/// A query that is cancelled leaves no bars either.
impl Drop for Bars {
    fn drop(&mut self) {
        self.clear();
    }
}

impl Bars {
    fn clear(&mut self) {
        if std::mem::replace(&mut self.cleared, true) {
            return;
        }
        // Nothing can be done about a terminal that is gone.
        let _ = self.drawn.clear();
        // A bar draws itself once more when it is dropped, by then below the answer.
        self.drawn.set_draw_target(ProgressDrawTarget::hidden());
    }

    fn refresh(&mut self) {
        let Some(monitor) = self.monitor.as_ref().filter(|_| !self.cleared && self.started.elapsed() >= SHOWN_AFTER)
        else {
            return;
        };
        for (index, sub_query) in monitor.progress().sub_queries.iter().enumerate() {
            // An estimate may be too low; a bar that stands beyond its end says nothing.
            let length = sub_query.estimated_rows.filter(|rows| *rows >= sub_query.rows && *rows > 0);
            let template = match (sub_query.done, length) {
                (true, _) => "  {prefix:.cyan}  done  {msg}",
                (false, Some(_)) => "  {prefix:.cyan}  {bar:24}  {msg}",
                (false, None) => "  {prefix:.cyan}  {spinner}  {msg}",
            };
            let Ok(style) = ProgressStyle::with_template(template) else { return };
            if self.bars.len() == index {
                // With its style from the first: a bar is drawn as soon as it is added.
                self.bars.push(self.drawn.add(ProgressBar::no_length().with_style(style.clone())));
            }
            let bar = &self.bars[index];
            bar.set_style(style);
            match length {
                Some(rows) => bar.set_length(rows),
                None => bar.unset_length(),
            }
            bar.set_prefix(crate::render::text::escape(&format!(
                "{}: {}",
                sub_query.source,
                sub_query.tables.join(", ")
            )));
            bar.set_message(format!("{}, {}", number::rows(sub_query.rows), number::bytes(sub_query.bytes)));
            bar.set_position(sub_query.rows);
            bar.tick();
        }
    }
}
