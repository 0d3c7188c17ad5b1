//! The decorated ports.

use std::ops::Range;
use std::pin::Pin;
use std::sync::Arc;

use async_trait::async_trait;
use jiff::Timestamp;
use refit_app::ports::{
    Alert, ApprovalStatus, BoxError, DueItem, DuePage, EndpointError, EndpointState, Endpoints, Execution, Expect,
    Item, Key, Object, ObjectError, ObjectInfo, ObjectPage, Objects, OutboundEvent, PackageDescription, PackageError,
    Packages, Page, PipelineDescription, PipelineError, Pipelines, Ports, PublishError, Publisher, Query, StartRequest,
    Table, TableError, Token, Variant, Write,
};
use refit_core::{Digest, ObjectUri};

use super::{Fault, Faults, Port};

pub(super) fn wrap(faults: &Faults, ports: Ports) -> Ports {
    Ports {
        table: Arc::new(Faulty { faults: faults.clone(), inner: ports.table }),
        objects: Arc::new(Faulty { faults: faults.clone(), inner: ports.objects }),
        pipelines: Arc::new(Faulty { faults: faults.clone(), inner: ports.pipelines }),
        packages: Arc::new(Faulty { faults: faults.clone(), inner: ports.packages }),
        endpoints: Arc::new(Faulty { faults: faults.clone(), inner: ports.endpoints }),
        publisher: Arc::new(Faulty { faults: faults.clone(), inner: ports.publisher }),
        clock: ports.clock,
    }
}

/// What a method of [`Table`] returns, without the macro.
type Answer<'a, T> = Pin<Box<dyn Future<Output = Result<T, TableError>> + Send + 'a>>;

struct Faulty<P: ?Sized> {
    faults: Faults,
    inner: Arc<P>,
}

/// A call as it is counted.
type Method = (Port, &'static str, Kind);

/// What a call does to its service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Reads,
    Writes,
}

impl<P: ?Sized> Faulty<P> {
    fn decide(&self, (port, name, kind): Method) -> Option<Fault> {
        self.faults.decide(port, name, kind == Kind::Writes)
    }

    /// A call with its fault; `refuse` is the port's error for a fault.
    async fn pass<T, E>(
        &self,
        method: Method,
        refuse: impl FnOnce(Fault) -> E + Send,
        effect: impl Future<Output = Result<T, E>> + Send,
    ) -> Result<T, E> {
        self.carry_out(self.decide(method), refuse, effect).await
    }

    /// A call that is counted already.
    async fn carry_out<T, E>(
        &self,
        fault: Option<Fault>,
        refuse: impl FnOnce(Fault) -> E + Send,
        effect: impl Future<Output = Result<T, E>> + Send,
    ) -> Result<T, E> {
        let Some(fault) = fault else { return effect.await };
        match fault {
            Fault::CrashBefore => self.faults.crash().await,
            Fault::CrashAfter => {
                // What the service answered dies with the process.
                let _ = effect.await;
                self.faults.crash().await
            }
            Fault::Pause => {
                self.faults.pause().await;
                effect.await
            }
            Fault::Throttled
            | Fault::Unavailable
            | Fault::Conflict
            | Fault::Partial
            | Fault::StaleRead
            | Fault::QuotaHit => Err(refuse(fault)),
            Fault::UnavailableAfter | Fault::ConflictAfter => match effect.await {
                Ok(_) => Err(refuse(fault)),
                // What the service refuses, it also refuses when it is hard to reach.
                Err(error) => Err(error),
            },
        }
    }
}

fn lost() -> BoxError {
    "injected: the service could not be reached".into()
}

fn table_error(key: impl FnOnce() -> Key + Send) -> impl FnOnce(Fault) -> TableError + Send {
    move |fault| match fault {
        Fault::Throttled => TableError::Throttled,
        Fault::Conflict | Fault::ConflictAfter => TableError::Conflict { key: key() },
        Fault::CrashBefore
        | Fault::CrashAfter
        | Fault::Unavailable
        | Fault::UnavailableAfter
        | Fault::Partial
        | Fault::StaleRead
        | Fault::QuotaHit
        | Fault::Pause => TableError::Unavailable(lost()),
    }
}

fn object_error(uri: &ObjectUri) -> impl FnOnce(Fault) -> ObjectError + Send {
    move |fault| match fault {
        Fault::ConflictAfter => ObjectError::Conflict(uri.clone()),
        Fault::CrashBefore
        | Fault::CrashAfter
        | Fault::Throttled
        | Fault::Unavailable
        | Fault::UnavailableAfter
        | Fault::Conflict
        | Fault::Partial
        | Fault::StaleRead
        | Fault::QuotaHit
        | Fault::Pause => ObjectError::Unavailable { uri: uri.clone(), source: lost() },
    }
}

#[async_trait]
impl Table for Faulty<dyn Table> {
    // Most calls are this one: where nothing goes wrong, nothing stands around it.
    fn get<'a, 'b, 'c>(&'a self, key: &'b Key) -> Answer<'c, Option<Item>>
    where
        'a: 'c,
        'b: 'c,
        Self: 'c,
    {
        let answer = self.inner.get(key);
        match self.decide((Port::Table, "get", Kind::Reads)) {
            None => answer,
            fault => Box::pin(self.carry_out(fault, table_error(|| key.clone()), answer)),
        }
    }

    async fn query(&self, query: &Query) -> Result<Page, TableError> {
        let key = || Key::new(&query.partition, &query.prefix);
        match self.decide((Port::Table, "query", Kind::Reads)) {
            // A page may end anywhere.
            Some(Fault::Partial) => self.inner.query(&Query { limit: 1, ..query.clone() }).await,
            fault => self.carry_out(fault, table_error(key), self.inner.query(query)).await,
        }
    }

    async fn transact(&self, token: &Token, writes: &[Write]) -> Result<(), TableError> {
        let key = || writes.first().map_or_else(|| Key::new("", ""), |it| it.key().clone());
        let effect = self.inner.transact(token, writes);
        let method = (Port::Table, "transact", Kind::Writes);
        match self.decide(method) {
            Some(Fault::Conflict) => {
                self.touch_first(writes).await?;
                effect.await
            }
            fault => self.carry_out(fault, table_error(key), effect).await,
        }
    }

    async fn list_due(
        &self,
        shard: u8,
        until: Timestamp,
        limit: usize,
        after: Option<&DueItem>,
    ) -> Result<DuePage, TableError> {
        let key = || Key::new("due", &shard.to_string());
        let effect = self.inner.list_due(shard, until, limit, after);
        match self.decide((Port::Table, "list_due", Kind::Reads)) {
            Some(Fault::Partial) => self.inner.list_due(shard, until, 1, after).await,
            Some(Fault::StaleRead) => {
                let mut page = effect.await?;
                page.items.pop();
                Ok(page)
            }
            fault => self.carry_out(fault, table_error(key), effect).await,
        }
    }
}

impl Faulty<dyn Table> {
    /// Somebody else writes the first item that the transaction has read, and changes nothing in it.
    async fn touch_first(&self, writes: &[Write]) -> Result<(), TableError> {
        let read = writes.iter().find_map(|write| match write {
            Write::Put { key, expect: Expect::Generation(_), .. } => Some(key),
            Write::Put { .. } | Write::Delete { .. } | Write::Check { .. } => None,
        });
        let Some(key) = read else { return Ok(()) };
        let Some(item) = self.inner.get(key).await? else { return Ok(()) };
        let expect = Expect::Generation(item.generation);
        let touch = [Write::Put { key: Key::clone(&item.key), expect, body: item.body, due: item.due }];
        let token = Digest::of(format!("touch {touch:?}").as_bytes()).hex()[..36].to_owned();
        self.inner.transact(&Token(token), &touch).await
    }
}

#[async_trait]
impl Objects for Faulty<dyn Objects> {
    async fn head(&self, uri: &ObjectUri) -> Result<ObjectInfo, ObjectError> {
        self.pass((Port::Objects, "head", Kind::Reads), object_error(uri), self.inner.head(uri)).await
    }

    async fn get(&self, uri: &ObjectUri, limit: u64) -> Result<Object, ObjectError> {
        self.pass((Port::Objects, "get", Kind::Reads), object_error(uri), self.inner.get(uri, limit)).await
    }

    async fn get_range(&self, uri: &ObjectUri, etag: &str, range: Range<u64>) -> Result<Vec<u8>, ObjectError> {
        let effect = self.inner.get_range(uri, etag, range);
        self.pass((Port::Objects, "get_range", Kind::Reads), object_error(uri), effect).await
    }

    async fn put_new(&self, uri: &ObjectUri, bytes: &[u8]) -> Result<ObjectInfo, ObjectError> {
        let effect = self.inner.put_new(uri, bytes);
        self.pass((Port::Objects, "put_new", Kind::Writes), object_error(uri), effect).await
    }

    async fn replace(&self, uri: &ObjectUri, bytes: &[u8], etag: &str) -> Result<ObjectInfo, ObjectError> {
        let effect = self.inner.replace(uri, bytes, etag);
        self.pass((Port::Objects, "replace", Kind::Writes), object_error(uri), effect).await
    }

    async fn remove(&self, uri: &ObjectUri) -> Result<(), ObjectError> {
        self.pass((Port::Objects, "remove", Kind::Writes), object_error(uri), self.inner.remove(uri)).await
    }

    async fn list(&self, prefix: &ObjectUri, after: Option<&str>) -> Result<ObjectPage, ObjectError> {
        let effect = self.inner.list(prefix, after);
        match self.decide((Port::Objects, "list", Kind::Reads)) {
            Some(Fault::Partial) => {
                let mut page = effect.await?;
                if 1 < page.items.len() {
                    page.items.truncate(1);
                    page.next = page.items.first().map(|it| it.uri.key().to_owned());
                }
                Ok(page)
            }
            fault => self.carry_out(fault, object_error(prefix), effect).await,
        }
    }
}

fn pipeline_error(fault: Fault) -> PipelineError {
    if fault == Fault::QuotaHit { PipelineError::Quota } else { PipelineError::Unavailable(lost()) }
}

#[async_trait]
impl Pipelines for Faulty<dyn Pipelines> {
    async fn describe(&self, pipeline: &str) -> Result<PipelineDescription, PipelineError> {
        self.pass((Port::Pipelines, "describe", Kind::Reads), pipeline_error, self.inner.describe(pipeline)).await
    }

    async fn ensure_started(&self, key: &str, request: &StartRequest) -> Result<String, PipelineError> {
        let effect = self.inner.ensure_started(key, request);
        self.pass((Port::Pipelines, "ensure_started", Kind::Writes), pipeline_error, effect).await
    }

    async fn find_by_display_name(&self, pipeline: &str, display_name: &str) -> Result<Option<String>, PipelineError> {
        let effect = self.inner.find_by_display_name(pipeline, display_name);
        self.pass((Port::Pipelines, "find_by_display_name", Kind::Reads), pipeline_error, effect).await
    }

    async fn observe(&self, arn: &str) -> Result<Execution, PipelineError> {
        self.pass((Port::Pipelines, "observe", Kind::Reads), pipeline_error, self.inner.observe(arn)).await
    }

    async fn stop(&self, arn: &str) -> Result<(), PipelineError> {
        self.pass((Port::Pipelines, "stop", Kind::Writes), pipeline_error, self.inner.stop(arn)).await
    }
}

fn package_error(_fault: Fault) -> PackageError {
    PackageError::Unavailable(lost())
}

#[async_trait]
impl Packages for Faulty<dyn Packages> {
    async fn describe(&self, arn: &str) -> Result<PackageDescription, PackageError> {
        self.pass((Port::Packages, "describe", Kind::Reads), package_error, self.inner.describe(arn)).await
    }

    async fn set_approval(&self, arn: &str, status: ApprovalStatus) -> Result<(), PackageError> {
        let effect = self.inner.set_approval(arn, status);
        self.pass((Port::Packages, "set_approval", Kind::Writes), package_error, effect).await
    }
}

fn endpoint_error(_fault: Fault) -> EndpointError {
    EndpointError::Unavailable(lost())
}

#[async_trait]
impl Endpoints for Faulty<dyn Endpoints> {
    async fn describe(&self, endpoint: &str) -> Result<EndpointState, EndpointError> {
        self.pass((Port::Endpoints, "describe", Kind::Reads), endpoint_error, self.inner.describe(endpoint)).await
    }

    async fn ensure_variants(&self, endpoint: &str, variants: &[Variant]) -> Result<(), EndpointError> {
        let effect = self.inner.ensure_variants(endpoint, variants);
        self.pass((Port::Endpoints, "ensure_variants", Kind::Writes), endpoint_error, effect).await
    }
}

fn publish_error(_fault: Fault) -> PublishError {
    PublishError::Unavailable(lost())
}

#[async_trait]
impl Publisher for Faulty<dyn Publisher> {
    async fn publish(&self, events: &[OutboundEvent]) -> Vec<Result<(), PublishError>> {
        let refused = || events.iter().map(|_| Err(publish_error(Fault::Unavailable))).collect();
        let Some(fault) = self.decide((Port::Publisher, "publish", Kind::Writes)) else {
            return self.inner.publish(events).await;
        };
        match fault {
            Fault::CrashBefore => self.faults.crash().await,
            Fault::CrashAfter => {
                self.inner.publish(events).await;
                self.faults.crash().await
            }
            Fault::Pause => {
                self.faults.pause().await;
                self.inner.publish(events).await
            }
            Fault::Throttled | Fault::Unavailable | Fault::Conflict | Fault::StaleRead | Fault::QuotaHit => refused(),
            Fault::UnavailableAfter | Fault::ConflictAfter => {
                self.inner.publish(events).await;
                refused()
            }
            Fault::Partial => {
                let mut results = self.inner.publish(&events[..events.len().min(1)]).await;
                results.extend(events.iter().skip(1).map(|_| Err(publish_error(fault))));
                results
            }
        }
    }

    async fn alert(&self, alert: &Alert) -> Result<(), PublishError> {
        self.pass((Port::Publisher, "alert", Kind::Writes), publish_error, self.inner.alert(alert)).await
    }
}
