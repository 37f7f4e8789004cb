import type { ApiOperationOptions, ApiResponseOptions } from '@nestjs/swagger';

type Swagger = Pick<typeof import('@nestjs/swagger'), 'ApiOperation' | 'ApiResponse'>;

/** What controllers say of themselves, kept until somebody asks for it: nobody does on most machines. */
const said: ((swagger: Swagger) => void)[] = [];

/** As `ApiOperation` of @nestjs/swagger, which is loaded with the first document only. */
export function ApiOperation(options: ApiOperationOptions): MethodDecorator {
  return later((swagger) => swagger.ApiOperation(options));
}

/** As `ApiResponse` of @nestjs/swagger, which is loaded with the first document only. */
export function ApiResponse(options: ApiResponseOptions): MethodDecorator {
  return later((swagger) => swagger.ApiResponse(options));
}

/** Hands over what was said since the last time. */
export function describeTo(swagger: Swagger): void {
  for (const say of said.splice(0)) say(swagger);
}

function later(decorator: (swagger: Swagger) => MethodDecorator): MethodDecorator {
  return (target, key, descriptor) => {
    said.push((swagger) => decorator(swagger)(target, key, descriptor));
  };
}
