// What a dashboard that is committed as JSON has to be, by the types that Grafana's own frontend is built from.
import type { AnnotationQuery, Dashboard, DataQuery, Panel, RowPanel, VariableModel } from '@grafana/schema';
import type { Options as Stat } from '@grafana/schema/dist/esm/raw/composable/stat/panelcfg/x/StatPanelCfg_types.gen';
import type { Options as Table } from '@grafana/schema/dist/esm/raw/composable/table/panelcfg/x/TablePanelCfg_types.gen';
import type { Options as Series } from '@grafana/schema/dist/esm/raw/composable/timeseries/panelcfg/x/TimeSeriesPanelCfg_types.gen';

/** JSON has no enums: their values stand for them. */
type Json<T> = T extends string
  ? `${T}`
  : T extends (infer Item)[]
    ? Json<Item>[]
    : T extends object
      ? { [Key in keyof T]: Json<T[Key]> }
      : T;

type Of<Type extends string, Options> = Omit<Panel, 'type' | 'options'> & { type: Type; options?: Partial<Options> };
type Shown = Of<'stat', Stat> | Of<'table', Table> | Of<'timeseries', Series> | RowPanel;
// As @grafana/data has them (IntervalVariableModel, QueryVariableModel), which the schema leaves out.
type Variable = VariableModel & { auto?: boolean; auto_min?: string; auto_count?: number; definition?: string };
type Query = DataQuery & Record<string, unknown>;

export type Written = Json<
  Omit<Dashboard, 'annotations' | 'panels' | 'templating' | 'schemaVersion' | 'uid'> & {
    annotations?: { list?: AnnotationQuery<Query>[] };
    panels: Shown[];
    templating: { list: Variable[] };
    schemaVersion: 42;
    uid: string;
  }
>;
