import { openDataSource } from '@mqtt2go/persistence';
import { createTestDatabase, silentLogger, type TestDatabase } from '@mqtt2go/testing';
import type { DataSource } from 'typeorm';
import { entities } from '../entities.js';
import { migrations } from '../migrations/index.js';
import { schema } from '../schema.js';

/** A database with the service's schema, and a connection to it for each process that a test is about. */
export class FederationDatabase {
  private readonly opened: DataSource[] = [];

  private constructor(private readonly database: TestDatabase) {}

  static async create(): Promise<FederationDatabase> {
    return new FederationDatabase(await createTestDatabase());
  }

  async open(): Promise<DataSource> {
    const { url } = this.database;
    const dataSource = await openDataSource({ url, schema, entities, migrations, log: silentLogger });
    this.opened.push(dataSource);
    return dataSource;
  }

  async close(): Promise<void> {
    await Promise.all(this.opened.map(async (one) => one.isInitialized && one.destroy()));
    await this.database.drop();
  }
}
