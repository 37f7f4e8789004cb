import { problemDetails } from '@mqtt2go/protocol';
import { problemContentType } from '@mqtt2go/runtime';
import type { INestApplication } from '@nestjs/common';
import { type ApiResponseOptions, DocumentBuilder, SwaggerModule } from '@nestjs/swagger';
import { z } from 'zod';

const problemSchema = 'Problem';

/** For `@ApiResponse` of a refusal. */
export function problemResponse(status: number | 'default', description: string): ApiResponseOptions {
  return {
    status: status === 'default' ? 'default' : status,
    description,
    content: { [problemContentType]: { schema: { $ref: `#/components/schemas/${problemSchema}` } } },
  };
}

/** The OpenAPI document of the REST side, made from the controllers and the schemas of the wire. */
export function openApiDocument(app: INestApplication): object {
  const head = new DocumentBuilder()
    .setOpenAPIVersion('3.1.0')
    .setTitle('MQTT2GO Discovery server')
    .setDescription(
      'Step 2 of the set-up with a remote broker: the platform tells the Discovery server of a device that will come. ' +
        'Over mutual TLS with the service certificate of `provisioning`. Every refusal is an RFC 9457 problem whose ' +
        '`code` is one of the published error codes.',
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
        mutualTLS: { type: 'mutualTLS', description: 'A certificate of the services’ CA, issued to `provisioning`.' },
      },
    },
  };
}

function jsonSchema(schema: z.ZodType, io: 'input' | 'output'): object {
  const { $schema: _dialect, '~standard': _standard, ...rest } = z.toJSONSchema(schema, { io });
  return rest;
}
