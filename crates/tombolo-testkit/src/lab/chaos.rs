use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use tombolo_connector::layer::{Call, Chaos, ChaosSwitch};
use tombolo_connector::{Connector, ConnectorFactory, ConnectorSpec, Options, Registry, Result};

/// The same kinds of source, with chaos in those sources that have a switch.
pub(crate) fn chaotic(registry: &Registry, switches: &BTreeMap<String, ChaosSwitch>) -> Registry {
    let chaotic = registry.factories().iter().map(|inner| {
        Arc::new(ChaoticFactory { inner: Arc::clone(inner), switches: switches.clone() }) as Arc<dyn ConnectorFactory>
    });
    chaotic.fold(Registry::default(), Registry::with)
}

/// A kind of source of which some break on purpose.
#[derive(Debug)]
struct ChaoticFactory {
    inner: Arc<dyn ConnectorFactory>,
    switches: BTreeMap<String, ChaosSwitch>,
}

#[async_trait]
impl ConnectorFactory for ChaoticFactory {
    fn spec(&self) -> &'static ConnectorSpec {
        self.inner.spec()
    }

    fn parse_url(&self, url: &str) -> Option<Result<Options>> {
        self.inner.parse_url(url)
    }

    async fn connect(&self, name: &str, options: &Options) -> Result<Arc<dyn Connector>> {
        let Some(switch) = self.switches.get(name) else { return self.inner.connect(name, options).await };
        switch.before(Call::Connect).await?;
        let connector = self.inner.connect(name, options).await?;
        Ok(Arc::new(Chaos::new(connector, switch.clone())))
    }
}
