import { problemDetails } from '@mqtt2go/protocol';
import type { INestApplication } from '@nestjs/common';
import type { ApiResponseOptions } from '@nestjs/swagger';
import { z } from 'zod';
import { describeTo } from './described.js';
import { problemContentType } from './problem.js';

const problemSchema = 'Problem';

/** For `@ApiResponse` of a refusal. */
export function problemResponse(status: number | 'default', description: string): ApiResponseOptions {
  return {
    status,
    description,
    content: { [problemContentType]: { schema: { $ref: `#/components/schemas/${problemSchema}` } } },
  };
}

export interface ApiDescription {
  readonly title: string;
  /** What it is for; who may ask and how it refuses is said besides. */
  readonly description: string;
  /** To whom the certificate is issued that callers come with. */
  readonly caller: string;
}

/** The OpenAPI document of a REST side, made from the controllers and the schemas of the wire. */
export async function openApiDocument(
  app: INestApplication,
  { title, description, caller }: ApiDescription,
): Promise<object> {
  // Loaded by whoever is asked for it: most services have no REST side.
  const swagger = await import('@nestjs/swagger');
  describeTo(swagger);
  const { DocumentBuilder, SwaggerModule } = swagger;
  const head = new DocumentBuilder()
    .setOpenAPIVersion('3.1.0')
    .setTitle(title)
    .setDescription(
      `${description} Over mutual TLS with the service certificate of \`${caller}\`. Every refusal is an RFC 9457 ` +
        'problem whose `code` is one of the published error codes.',
    )
    .setVersion('1.0')
    .build();
  const document = SwaggerModule.createDocument(app, head, {
    operationIdFactory: (_controller, method) => method,
    autoTagControllers: false,
    standardSchemaConverter: (schema, { schemaType }) =>
      schema instanceof z.ZodType ? { schema: jsonSchema(schema, schemaType) } : undefined,
  });
  return {
    ...document,
    security: [{ mutualTLS: [] }],
    components: {
      ...document.components,
      schemas: { ...document.components?.schemas, [problemSchema]: jsonSchema(problemDetails, 'output') },
      securitySchemes: {
        mutualTLS: { type: 'mutualTLS', description: `A certificate of the services’ CA, issued to \`${caller}\`.` },
      },
    },
  };
}

function jsonSchema(schema: z.ZodType, io: 'input' | 'output'): object {
  const { $schema: _dialect, '~standard': _standard, ...rest } = z.toJSONSchema(schema, { io });
  return rest;
}
